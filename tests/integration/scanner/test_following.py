"""Rings in step with market: holes, a new market, bars written while they were loaded, what readers get."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.common import subjects
from libs.common.bus import encode
from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.messages.market import BarsClosed, CandlesPut
from services.scanner.asking import Market
from services.scanner.following import Following
from services.scanner.history import History
from services.scanner.rings import RING_BARS
from tests.conftest import wait_until
from tests.integration.market.rig import START_MS, open_rig
from tests.integration.scanner.rig import HOUR_MS

MINUTE_MS = 60_000


def bars(
    first: int, last: int, step_ms: int = HOUR_MS
) -> list[tuple[int, float, float, float, float, float]]:
    return [(START_MS + i * step_ms, 1.0, 2.0, 0.5, 1.0 + i / 1e4, 1.0) for i in range(first, last)]


async def put(bus: NatsBus, part: list[tuple[int, float, float, float, float, float]]) -> None:
    await bus.request(subjects.CANDLES_PUT, CandlesPut(symbol="EURUSD", timeframe="1h", candles=part))


async def test_readers_see_what_was_written_before_they_asked(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus
) -> None:
    async with open_rig(await database("market"), bus) as rig:
        market = Market(bus)
        following = Following(bus, market, ["1m", "1h"])
        await following.start()
        history = History(market, following)
        assert len(await history.window("EURUSD", "1h", 50)) == 0
        for end in range(5, 40, 5):
            await put(bus, bars(-40, -40 + end))
            seen = await history.window("EURUSD", "1h", 200)
            assert seen.open_ms.tolist() == [bar[0] for bar in bars(-40, -40 + end)]
        # A timeframe nobody follows, and more bars than a ring holds, come from market at once.
        await bus.request(
            subjects.CANDLES_PUT,
            CandlesPut(symbol="EURUSD", timeframe="4h", candles=bars(-3, 0, 4 * HOUR_MS)),
        )
        assert len(await history.closed("EURUSD", "4h", 10)) == 3
        await put(bus, bars(-RING_BARS - 300, 0))
        assert len(await history.closed("EURUSD", "1h", RING_BARS + 200)) == RING_BARS + 200
        assert len(await history.closed("EURUSD", "1h", RING_BARS)) == RING_BARS
        assert len(following.places["EURUSD", "1h"].ring) == RING_BARS
        # The bar that ticks make is shown to readers and is in no ring.
        await rig.quotes(("EURUSD", 1.1, 1.2, START_MS + 1), ("EURUSD", 1.3, 1.4, START_MS + 2))
        window = await history.window("EURUSD", "1h", 3)
        assert (window.open_ms[-1], window.open[-1], window.close[-1]) == (START_MS, 1.1, 1.3)
        assert (await history.closed("EURUSD", "1h", 3)).open_ms[-1] == START_MS - HOUR_MS
        assert await history.source("EURUSD", "1h") == "manual"
        await following.stop()


async def test_a_hole_or_another_market_makes_every_ring_load_again(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus
) -> None:
    async with open_rig(await database("market"), bus) as rig:
        market = Market(bus)
        following = Following(bus, market, ["1m"])
        await following.start()
        await following.freshen()
        assert not following.is_stale
        ticks = [("EURUSD", 1.0 + i / 100, 2.0, START_MS + i * MINUTE_MS) for i in range(4)]
        await rig.quotes(*ticks[:2])
        await wait_until(lambda: ("EURUSD", "1m") in following.pending or following.is_stale)
        await following.freshen()
        assert following.places["EURUSD", "1m"].ring.last_ms == START_MS
        # Somebody else's numbers: what was held can't be trusted.
        lost = BarsClosed(run=following.run, seq=following.seq + 2)
        await bus.publish(subjects.BARS_CLOSED.at(), encode(lost))
        await wait_until(lambda: following.is_stale)
        await rig.quotes(*ticks[2:])
        await following.freshen()
        ring = following.places["EURUSD", "1m"].ring
        assert ring.columns()[0].tolist() == [START_MS + i * MINUTE_MS for i in range(3)]
        await bus.publish(subjects.BARS_CLOSED.at(), encode(BarsClosed(run="another", seq=1)))
        await wait_until(lambda: following.is_stale)  # the market itself may have spoken again by now
        await following.freshen()
        forming = await market.forming("EURUSD", "1m")
        assert (following.run, following.seq) >= (forming.run, 0) and not following.is_stale
        assert forming.bar is not None and forming.bar[0] == START_MS + 3 * MINUTE_MS
        await following.stop()
