"""Drawing charts in a process of their own, so that matplotlib is neither in our memory nor in our way.

Lifecycle: the process is started some seconds after the scanner is ready (its imports take a second, and so
would the first chart), or when a chart is asked for before; it draws one at a time and stays. At most
``WAITING_MAX`` charts wait; further ones are refused (``server_busy``). A chart that takes too long ends the
process; the next one starts another.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections import OrderedDict

import msgspec
import structlog

from libs.common.clock import Clock
from services.scanner import metrics
from services.scanner.chart_spec import ChartSpec
from services.scanner.errors import ServerBusy

log = structlog.get_logger()

WAITING_MAX = 16
DRAW_S_MAX = 10.0
WARM_AFTER_S = 15.0  # starting has other things to do first
KEPT = 32  # pictures that are given again without drawing, about 5 MB
_LENGTH = struct.Struct(">I")


class Drawer:
    """Draws charts; close it at the end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._one = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._warming: asyncio.Task[None] | None = None
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    async def warm(self) -> None:
        """Have the process ready before the first chart is asked for, a while from now."""
        self._warming = asyncio.create_task(self._warm(), name="charts")

    async def _warm(self) -> None:
        await asyncio.sleep(WARM_AFTER_S)
        async with self._one:
            await self._running()

    async def draw(self, spec: ChartSpec) -> bytes:
        """The picture as PNG."""
        packed = msgspec.msgpack.encode(spec)
        if packed in self._kept:
            self._kept.move_to_end(packed)
            return self._kept[packed]
        if self._waiting >= WAITING_MAX:
            metrics.charts_refused.inc()
            raise ServerBusy("too many charts are being drawn", retry_after_s=2)
        self._waiting += 1
        try:
            async with self._one:
                picture = await self._drawn(packed)
        finally:
            self._waiting -= 1
        self._kept[packed] = picture
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return picture

    @property
    def pid(self) -> int:
        """The drawing process; 0 when there is none."""
        return 0 if self._process is None else self._process.pid

    async def _drawn(self, packed: bytes) -> bytes:
        process = await self._running()
        begun_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(DRAW_S_MAX):
                picture = await _exchange(process, packed)
        except (TimeoutError, asyncio.IncompleteReadError, OSError, asyncio.CancelledError) as e:
            # Its answer to this question must not become the answer to the next one.
            await self._end()
            if isinstance(e, asyncio.CancelledError):
                raise
            log.warning("chart not drawn", error=f"{type(e).__name__}: {e}")
            raise ServerBusy("the chart could not be drawn in time", retry_after_s=2) from e
        metrics.chart_seconds.observe(self._clock.monotonic_s() - begun_s)
        if not picture:
            raise ValueError("a chart could not be drawn; the drawing process said why")
        return picture

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.scanner.chart_worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the process."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        await self._end()


async def _exchange(process: asyncio.subprocess.Process, packed: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise OSError("the drawing process has no pipes")
    process.stdin.write(_LENGTH.pack(len(packed)) + packed)
    await process.stdin.drain()
    (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
    return await process.stdout.readexactly(length)
