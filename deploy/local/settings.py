"""What the supervisor itself reads from the environment and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deploy.local.errors import StartRefused
from libs.common.config import load
from libs.common.errors import ConfigInvalid

ROOT = Path(__file__).resolve().parents[2]

# Parallel at start, so the order matters at the stop: callers before those they call (see the supervisor).
START_ORDER = ("auth", "market", "trading", "alerts", "scanner", "pricing", "billing", "notifier", "gateway")
_PROCESSES_MAX = 64
_ALERTS_MAX = 16  # as many as partitions: further ones could only stand in


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: str
    http_host: str
    http_port: int
    services: str = ""
    alerts_processes: int = 1
    gateway_processes: int = 1
    admin_password: str = ""
    secret_key: str = ""
    tls_dir: str = ""
    database_url: str = ""
    nats_url: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """One stack. ``database_url`` and ``nats_url`` are empty when the embedded servers are meant."""

    data: Path
    http_host: str
    http_port: int
    services: tuple[str, ...]
    alerts_processes: int
    gateway_processes: int
    admin_password: str
    secret_key: str
    tls: bool
    database_url: str
    nats_url: str

    @property
    def origin(self) -> str:
        """Where a person on this machine finds the gateway."""
        host = "127.0.0.1" if self.http_host in ("0.0.0.0", "::", "") else self.http_host  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{host}:{self.http_port}"


def read_settings(environ: Mapping[str, str], *, known: Sequence[str]) -> Settings:
    """The stack's settings; StartRefused names the first that can't be used. ``known``: all services."""
    try:
        given = load(_Given, environ)
    except ConfigInvalid as e:
        raise StartRefused(str(e)) from e
    if not 1 <= given.http_port <= 65535:
        raise StartRefused(f"TRADEWIND_HTTP_PORT was {given.http_port}: a port is between 1 and 65535")
    for name, most in (("alerts_processes", _ALERTS_MAX), ("gateway_processes", _PROCESSES_MAX)):
        count = getattr(given, name)
        if not 1 <= count <= most:
            raise StartRefused(f"TRADEWIND_{name.upper()} was {count}: it is between 1 and {most}")
    return Settings(
        data=Path(given.data_dir).absolute(),
        http_host=given.http_host,
        http_port=given.http_port,
        services=_chosen(given.services, known),
        alerts_processes=given.alerts_processes,
        gateway_processes=given.gateway_processes,
        admin_password=given.admin_password,
        secret_key=given.secret_key,
        tls=bool(given.tls_dir),
        database_url=given.database_url,
        nats_url=given.nats_url,
    )


def installed_services(root: Path = ROOT) -> tuple[str, ...]:
    """Every folder of ``services/`` that is a program, in the order of start."""
    found = {path.parent.name for path in (root / "services").glob("*/__main__.py")}
    late = ("gateway",) if "gateway" in found else ()
    strangers = sorted(found - set(START_ORDER))
    return (*(name for name in START_ORDER if name in found - {"gateway"}), *strangers, *late)


def _chosen(wanted: str, known: Sequence[str]) -> tuple[str, ...]:
    names = {name.strip() for name in wanted.split(",") if name.strip()}
    unknown = sorted(names - set(known))
    if unknown:
        raise StartRefused(f"there is no service {unknown[0]}; there are {', '.join(known)}")
    return tuple(name for name in known if not names or name in names)
