"""What alerts reads from the environment."""

from __future__ import annotations

from libs.common.config import ServiceConfig


class AlertsConfig(ServiceConfig, frozen=True, kw_only=True):
    """Alerts' part of the settings."""

    alerts_per_account: int = 10_000
    rules_per_account: int = 500
    alerts_partitions: int = 1
