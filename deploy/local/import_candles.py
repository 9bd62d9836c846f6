"""``tradewind import-candles``: a CSV file into the market service, over the bus, as user ``cli``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from deploy.local import probe
from deploy.local.candle_file import RowUnreadable, read_candles
from deploy.local.console import Console
from deploy.local.errors import StartRefused
from deploy.local.settings import Settings
from deploy.local.stack_state import cli_bus_url, read_state

_CHUNK = 2_000  # about 150 kB as JSON; the bus takes 1 MB
SOURCE = "import"
T = TypeVar("T")


async def import_candles(
    settings: Settings, path: Path, *, symbol: str, timeframe: str, console: Console
) -> int:
    """Send the file in chunks; every candle is upserted, so the same file may be sent again."""
    from libs.common.bus_nats import connect
    from libs.common.errors import AppError
    from libs.common.messages.market import CandlesPut
    from libs.common.subjects import CANDLES_PUT

    url = cli_bus_url(settings, read_state(settings.data))
    if url is None:
        raise StartRefused(f"no stack runs in {settings.data}: make run, or name its folder with --data-dir")
    total = _count(path)
    why = await probe.bus_connects(url)
    if why:
        raise StartRefused(f"the bus of {settings.data} does not answer ({why}): does the stack run?")
    bus = await connect(url, "cli")
    sent = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for chunk in chunks(read_candles(lines), _CHUNK):
                message = CandlesPut(symbol=symbol, timeframe=timeframe, candles=chunk, source=SOURCE)
                await bus.request(CANDLES_PUT, message)
                sent += len(chunk)
                console.step(f"{symbol} {timeframe}: {sent} of {total} candles")
    except AppError as e:
        raise StartRefused(f"market refused after {sent} candles: {e}") from e
    finally:
        console.done()
        await bus.close()
    console.line(f"{sent} candles of {symbol} {timeframe} are stored")
    return 0


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last may be shorter."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part


def _count(path: Path) -> int:
    """Read the whole file once before anything is sent: a bad line at its end must not leave half of it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            count = sum(1 for _ in read_candles(lines))
    except RowUnreadable as e:
        raise StartRefused(f"{path}, {e}") from e
    except (OSError, UnicodeDecodeError) as e:
        raise StartRefused(f"{path} can't be read: {e}") from e
    if count == 0:
        raise StartRefused(f"{path} holds no candle")
    return count
