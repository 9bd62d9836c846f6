"""Messages owned by alerts. Major 1 of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec


class AlertFrame(msgspec.Struct, array_like=True, frozen=True):
    """An alert fired or expired. The JSON is the client's ``a`` frame (broker 11.2)."""

    tag: Literal["a"]
    id: int
    login: int
    symbol: str
    indicator_name: str
    message: str
    side: int
    condition: int
    target_price: float
    channel_low: float
    channel_high: float
    move_threshold: float
    status: int
    repeat_mode: int
    expires_at: int
    triggered_price: float
    triggered_at: int
    code: int = 1


class AlertTriggered(msgspec.Struct, frozen=True, kw_only=True):
    """A price alert fired. The notifier hears it. 1.1 added what a channel or a move was watched for."""

    event_id: str
    alert_id: int
    log_id: int
    login: int
    symbol: str
    indicator_name: str
    message: str
    side: int
    condition: int
    target_price: float
    triggered_price: float
    triggered_ms: int
    channel_low: float = 0.0
    channel_high: float = 0.0
    move_threshold: float = 0.0


class AlertListAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The alerts of one account."""

    login: int


class AlertTable(msgspec.Struct, frozen=True):
    """structure+rows of 8.1."""

    structure: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class AlertIds(msgspec.Struct, frozen=True):
    """``{"structure":["id"],"rows":[[101]]}``."""

    structure: tuple[str, ...]
    rows: Sequence[Sequence[int]]


class AlertCreate(msgspec.Struct, frozen=True, kw_only=True):
    """Arm a price alert (8.2). ``group`` is the account's group: its prices are the ones watched."""

    login: int
    group: str
    symbol: str
    side: int
    condition: int
    repeat_mode: int
    target_price: float | None = None
    channel_low: float | None = None
    channel_high: float | None = None
    move_threshold: float | None = None
    expires_at: int = 0
    reference_price: float | None = None
    reference_time: int | None = None
    indicator_name: str = ""
    message: str = ""
    comment: str = ""


class AlertUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Change an alert (8.3); absent fields stay."""

    id: int
    login: int
    group: str
    symbol: str | None = None
    side: int | None = None
    condition: int | None = None
    repeat_mode: int | None = None
    status: int | None = None
    target_price: float | None = None
    channel_low: float | None = None
    channel_high: float | None = None
    move_threshold: float | None = None
    expires_at: int | None = None
    reference_price: float | None = None
    reference_time: int | None = None
    indicator_name: str | None = None
    message: str | None = None
    comment: str | None = None


class AlertDelete(msgspec.Struct, frozen=True, kw_only=True):
    """Remove an alert (8.4)."""

    id: int
    login: int


class AlertLogAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The log of one account, newest first (8.5)."""

    login: int
    limit: int = 10_000
    offset: int = 0


class AlertLogTable(msgspec.Struct, frozen=True):
    """structure+rows of 8.5."""

    structure: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class AlertLogDelete(msgspec.Struct, frozen=True, kw_only=True):
    """Take one row of the log away (8.6)."""

    id: int
    login: int


class AlertLogClear(msgspec.Struct, frozen=True, kw_only=True):
    """Take an account's whole log away (8.6)."""

    login: int
