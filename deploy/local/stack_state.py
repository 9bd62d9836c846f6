"""What can be known of a stack from outside: its data folder, its ports, its processes, its credentials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from deploy.local import processes
from deploy.local.files import read_json
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import DATABASE, SUPERUSER
from deploy.local.settings import Settings


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the stack; ``pid`` is None when it does not run."""

    name: str
    pid: int | None
    port: int | None

    @property
    def service(self) -> str:
        """``gateway-2`` is a process of ``gateway``."""
        name, _, index = self.name.rpartition("-")
        return name if name and index.isdigit() else self.name


@dataclass(frozen=True, slots=True)
class StackState:
    """One stack as its data folder describes it; it may be stopped."""

    data: Path
    http: int | None
    servers: tuple[Child, ...]
    services: tuple[Child, ...]
    nats_monitor: int | None

    @property
    def known(self) -> bool:
        """Whether a stack ever ran in this folder."""
        return bool(self.services)

    @property
    def running(self) -> bool:
        """Whether any of its processes is alive."""
        return any(child.pid for child in (*self.servers, *self.services))


def read_state(data: Path) -> StackState:
    """Read the folder; nothing in it is needed, nothing in it is believed without a look at the process."""
    ports = read_json(data / "ports.json")
    record = read_json(data / "run.json")
    metrics = ports.get("metrics")
    metrics = metrics if isinstance(metrics, dict) else {}
    return StackState(
        data=data,
        http=_port(ports.get("http")),
        servers=tuple(
            Child(name, _pid(record.get(name)), _port(ports[name]))
            for name in ("postgres", "nats")
            if name in ports
        ),
        services=tuple(Child(name, _pid(record.get(name)), _port(port)) for name, port in metrics.items()),
        nats_monitor=_port(ports.get("nats_monitor")),
    )


def admin_dsn(settings: Settings, state: StackState) -> str | None:
    """The administrator's connection string; None when this folder does not tell it."""
    if settings.database_url:
        return settings.database_url
    port = next((child.port for child in state.servers if child.name == "postgres"), None)
    password = read_json(state.data / "secrets.json").get("postgres")
    if port is None or not isinstance(password, str):
        return None
    return f"postgresql://{SUPERUSER}:{quote(password, safe='')}@{LOOPBACK}:{port}/{DATABASE}"


def cli_bus_url(settings: Settings, state: StackState) -> str | None:
    """The bus as user ``cli``; None when this folder does not tell it."""
    if settings.nats_url:
        return settings.nats_url
    port = next((child.port for child in state.servers if child.name == "nats"), None)
    passwords = read_json(state.data / "secrets.json").get("nats")
    if port is None or not isinstance(passwords, dict) or "cli" not in passwords:
        return None
    return f"nats://cli:{passwords['cli']}@{LOOPBACK}:{port}"


def _port(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 65_536 else None


def _pid(entry: object) -> int | None:
    """The recorded pid while it still is the process that was recorded."""
    if not isinstance(entry, dict):
        return None
    pid = entry.get("pid")
    if type(pid) is not int or processes.started_at(pid) != entry.get("started"):
        return None
    return pid
