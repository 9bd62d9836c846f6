"""The other end of `runner.Child`: one JSON line in, one out."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

Answer = Callable[[Any], Awaitable[dict[str, Any]]]


def read_line() -> Any:
    """The next line, waiting for it."""
    return json.loads(sys.stdin.readline())


def write_line(answer: dict[str, Any]) -> None:
    """Answer one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def answer_lines(answer: Answer) -> None:
    """Answer every further line until the input ends, without holding up the loop."""
    # The output carries answers only: what is logged goes where it neither fills nor mixes with them.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        write_line(await answer(json.loads(line)))
