"""The gateway's part of the settings."""

from __future__ import annotations

from libs.common.config import ProcessConfig


class Config(ProcessConfig, frozen=True, kw_only=True):
    """Read once at start."""

    http_host: str
    http_port: int
    data_dir: str
    services: str = ""
    gateway_processes: int = 1
    public_url: str = ""
    trusted_proxies: str = ""
    tls_dir: str = ""
    geo_header: str = ""
    geo_block: str = ""
    feed: str = "synthetic"
    plans_file: str = ""
    metering: str = "on"
    scan_pro_only: str = "off"
    clients_allow_private: str = "off"
