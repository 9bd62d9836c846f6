"""Market when its servers go away: quotes go on, candles wait, nothing is lost or counted twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.candles import TIMEFRAMES, candles_of
from libs.common.messages import market as m
from libs.common.migrate import migrate_all
from services.market.synthetic import SyntheticMarket
from tests.house import House
from tests.servers import PostgresServer, open_postgres


@pytest_asyncio.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL of this test alone, with market's schema."""
    with open_postgres(tmp_path / "postgres", private=True) as server:
        await migrate_all(server.dsn, ["market"], lambda line: None)
        yield server


async def test_quotes_go_on_without_postgres_and_their_candles_are_stored_after_it(
    own_postgres: PostgresServer, nats_url: str, bus: NatsBus, tmp_path: Path, eventually: Any
) -> None:
    frames: list[bytes] = []
    await bus.subscribe("market.tick.quote.v1.raw.EURUSD", lambda subject, payload: frames.append(payload))
    house = House({"admin": own_postgres.dsn}, nats_url, tmp_path)
    try:
        await house.start("market", FEED="synthetic", SYNTHETIC_TICKS_PER_S="20")
        log = house.running["market-0"].log
        await eventually(lambda: "history complete" in log.read_text(), timeout_s=60)
        own_postgres.stop()
        seen = len(frames)
        await eventually(lambda: len(frames) > seen + 60)
        broke = "the connection of the market's lock broke"
        await eventually(lambda: all(said in log.read_text() for said in ("candles not stored yet", broke)))
        own_postgres.restart()
        seen = len(frames)
        await eventually(lambda: len(frames) > seen + 20)
        assert log.read_text().count(broke) == 1
        assert house.running["market-0"].process.returncode is None
        await house.end("market-0")
        await house.start("market", FEED="manual")
        seqs = [int(frame.rsplit(b",", 1)[1].rstrip(b"]")) for frame in frames]
        assert seqs == list(range(1, len(frames) + 1))
        times = [int(frame.split(b",")[5]) for frame in frames]
        minute_ms = times[0] - times[0] % 60_000
        ask = m.CandlesAsk(symbol="EURUSD", frame="1M", from_s=minute_ms // 1000, to_s=2**33)
        rows = (await bus.request(subjects.CANDLES, ask)).data
        world = SyntheticMarket(1, 1200)
        ticks = [(t[3], t[1], t[4]) for t in world.ticks(minute_ms - 1, times[-1]) if t[0] == "EURUSD"]
        assert [row[:5] for row in rows] == [list(c[1:6]) for c in candles_of(ticks, TIMEFRAMES[0])]
    finally:
        await house.stop()
