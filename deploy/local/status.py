"""``tradewind status``: every process of a stack, whether it can work, and where its metrics are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from deploy.local import probe
from deploy.local.errors import StartRefused
from deploy.local.ports import LOOPBACK
from deploy.local.settings import Settings
from deploy.local.stack_state import Child, StackState, read_state

_HEAD = ("PROCESS", "PID", "STATE", "METRICS")


async def show_status(settings: Settings) -> int:
    """Print the table; 0 when everything is ready, 1 when something is not."""
    state = read_state(settings.data)
    if not state.known:
        raise StartRefused(
            f"no stack ever ran in {settings.data}: make run, or name its folder with --data-dir"
        )
    rows = await asyncio.gather(
        *(_server(child, state) for child in state.servers), *(_service(child) for child in state.services)
    )
    print(format_table(rows))
    print(f"\nhttp port {state.http}, data in {state.data}")
    return 0 if all(row[2] == "ready" for row in rows) else 1


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    table = [_HEAD, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEAD) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in table
    )


async def _service(child: Child) -> tuple[str, str, str, str]:
    url = f"http://{LOOPBACK}:{child.port}/metrics" if child.port else ""
    answer = await probe.get(child.port or 0, "/readyz")
    state = "ready" if answer.status == 200 else probe.problems(answer) if answer.status else "stopped"
    if not answer.status and child.pid:
        state = f"does not answer ({answer.text})"
    return child.name, str(child.pid or "-"), state, url


async def _server(child: Child, state: StackState) -> tuple[str, str, str, str]:
    answers = not await probe.connects(LOOPBACK, child.port or 0, seconds=2)
    if child.name == "nats" and answers:
        answer = await probe.get(state.nats_monitor or 0, "/healthz?js-enabled-only=true")
        answers = answer.status == 200
    return child.name, str(child.pid or "-"), "ready" if answers else "stopped", ""
