"""The processes a supervisor watches, as metrics ``tradewind_process_*``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


class Watched(Protocol):
    """A process as its supervisor knows it."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def restarts(self) -> int: ...


async def process_metrics(watched: Iterable[Watched], disk: Path) -> list[Metric]:
    """Up, restarts, memory and CPU of each process; room left where the house keeps its data."""
    label = ["process"]
    up = GaugeMetricFamily("tradewind_process_up", "Whether the process runs", labels=label)
    restarts = CounterMetricFamily("tradewind_process_restarts", "Starts after a crash", labels=label)
    memory = GaugeMetricFamily("tradewind_process_memory_bytes", "Resident memory", labels=label)
    cpu = CounterMetricFamily("tradewind_process_cpu_seconds", "CPU time, threads together", labels=label)
    for each in watched:
        up.add_metric([each.name], 1 if each.pid else 0)
        restarts.add_metric([each.name], each.restarts)
        used = _used(each.pid) if each.pid else None
        if used is not None:
            memory.add_metric([each.name], used[0])
            cpu.add_metric([each.name], used[1])
    space = os.statvfs(disk)
    free = GaugeMetricFamily(
        "tradewind_disk_free_bytes", "Room left for the data", value=float(space.f_bavail * space.f_frsize)
    )
    return [up, restarts, memory, cpu, free]


def _used(pid: int) -> tuple[float, float] | None:
    """Resident bytes and CPU seconds; None when the process is gone or can't be seen."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        # After the name, which may hold anything but is closed by the last parenthesis.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError, ValueError):
        return None
    return float(resident), (int(fields[11]) + int(fields[12])) * _TICK_S
