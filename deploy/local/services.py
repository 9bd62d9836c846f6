"""Which service processes a stack has, and what each is told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from deploy.local.settings import ROOT, Settings
from libs.common.config import PREFIX, SETTINGS

# Secrets of one service: nobody else is told.
_PRIVATE = {PREFIX + name: setting.only for name, setting in SETTINGS.items() if setting.only}


# Small processes on a small machine: numpy brings no thread per core into each of them; malloc keeps no
# arena per thread, and gives freed memory back. (By default glibc raises its thresholds after the first
# large blocks and keeps them: a service that once loaded 500 MB stayed there; with this it is back at 180.)
_FRUGAL = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a service; ``name`` is unique in the stack: gateway, gateway-1, gateway-2…"""

    service: str
    index: int

    @property
    def name(self) -> str:
        return f"{self.service}-{self.index}" if self.index else self.service


class CommandOf(Protocol):
    """The command line of a service; tests pass their own."""

    def __call__(self, service: str) -> list[str]: ...


def has_schema(service: str) -> bool:
    """Whether a service keeps state; one without (the gateway) is told of no database."""
    return (ROOT / "services" / service / "sql").is_dir()


def python_module(service: str) -> list[str]:
    """``python -m services.<name>``: the name operators look for in the process list."""
    return [sys.executable, "-m", f"services.{service}"]


def processes_of(settings: Settings) -> list[Process]:
    """Every process in the order of start."""
    several = {"alerts": settings.alerts_processes, "gateway": settings.gateway_processes}
    return [
        Process(service, index) for service in settings.services for index in range(several.get(service, 1))
    ]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where things are: a DSN per service with a schema, a NATS URL per service, a port per process."""

    databases: Mapping[str, str]
    buses: Mapping[str, str]
    metrics: Mapping[str, int]


def environment_of(
    process: Process,
    settings: Settings,
    addresses: Addresses,
    inherited: Mapping[str, str],
    private: Mapping[str, str],
) -> dict[str, str]:
    """The environment of one process. ``private``: the secrets of ``_PRIVATE``, told to their owner only."""
    environ = {
        name: value
        for name, value in inherited.items()
        if name != "DATABASE_URL" and _PRIVATE.get(name, process.service) == process.service
    }
    environ |= {name: value for name, value in private.items() if value and _PRIVATE[name] == process.service}
    environ |= {
        "NATS_URL": addresses.buses[process.service],
        "TRADEWIND_DATA_DIR": str(settings.data),
        "TRADEWIND_SERVICES": ",".join(settings.services),
        "TRADEWIND_HTTP_HOST": settings.http_host,
        "TRADEWIND_HTTP_PORT": str(settings.http_port),
        "TRADEWIND_GATEWAY_PROCESSES": str(settings.gateway_processes),
        "TRADEWIND_METRICS_PORT": str(addresses.metrics[process.name]),
        "TRADEWIND_PROCESS_INDEX": str(process.index),
        "PYTHONUNBUFFERED": "1",
    }
    if process.service in addresses.databases:
        environ["DATABASE_URL"] = addresses.databases[process.service]
    return _FRUGAL | environ
