"""Briefs on a real database: what is remembered, what is refused, and that a refusal leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
import pytest_asyncio

from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.errors import AppError, OutcomeUnknown, ServiceUnavailable
from libs.common.messages import analysis as m
from services.scanner.bars import Bars
from services.scanner.brief_store import BriefStore
from services.scanner.briefs import Briefs
from services.scanner.delta import FIRST_NOTE
from services.scanner.errors import CandlesFailed, CandlesTooFew, TickerUnreadable
from services.scanner.keeper import Keeper
from tests.integration.market.rig import START
from tests.unit.scanner.series import A, D, walk

PAIR, HOLDER = "BTC/USDT", "key:1"


class Shelf:
    """Candles held in memory, with what may be wrong with them."""

    def __init__(self) -> None:
        self.bars: dict[str, Bars] = {PAIR: D}
        self.trouble: AppError | None = None

    async def find(self, ticker: str) -> str | None:
        return ticker.upper() if ticker.upper() in self.bars else None

    async def window(self, symbol: str, timeframe: str, limit: int) -> Bars:
        if self.trouble is not None:
            raise self.trouble
        return self.bars[symbol].last(limit)

    async def closed(self, symbol: str, timeframe: str, limit: int) -> Bars:
        return await self.window(symbol, timeframe, limit)

    async def source(self, symbol: str, timeframe: str) -> str:
        return "manual"


class Desk:
    """The use cases over a shelf."""

    def __init__(self, database: Database) -> None:
        self.shelf, self.database, store = Shelf(), database, BriefStore()
        clock = ManualClock(START)
        self.briefs = Briefs(
            source=self.shelf,
            database=database,
            store=store,
            clock=clock,
            keeper=Keeper(self.shelf, database, store, clock),
            methodology_url="/docs/methodology",
        )

    async def delta(self, ticker: str = PAIR, timeframe: str = "1h", holder: str = HOLDER) -> m.Delta:
        return await self.briefs.delta(
            m.DeltaAsk(ticker=ticker, timeframe=timeframe, limit=200, holder=holder)
        )

    async def brief(self, holder: str = HOLDER, **more: object) -> m.Brief:
        given = {"ticker": PAIR, "timeframe": "1h", "limit": 200, "holder": holder, **more}
        return await self.briefs.brief(m.BriefAsk(**given))  # type: ignore[arg-type]

    async def looks(self) -> int:
        async with self.database.connection() as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM scanner.seen")
            return count


@pytest_asyncio.fixture
async def desk(database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Desk]:
    yield Desk(await database("scanner"))


async def test_each_holder_symbol_and_timeframe_has_a_memory_of_its_own(desk: Desk) -> None:
    assert (await desk.delta()).delta.notes == (FIRST_NOTE,)
    assert not (await desk.delta()).delta.changed
    assert (await desk.delta(timeframe="4h")).delta.changed
    assert (await desk.delta(holder="key:2")).delta.changed
    assert await desk.looks() == 3
    desk.shelf.bars[PAIR] = A  # a ramp
    told = (await desk.delta()).delta
    assert told.notes[0] == "trend range -> up"
    assert (await desk.delta()).delta.notes == ()


async def test_somebody_without_a_key_is_not_remembered(desk: Desk) -> None:
    for _ in range(2):
        assert (await desk.delta(holder="")).delta.notes == (FIRST_NOTE,)
    await desk.brief(holder="")
    assert await desk.looks() == 0


async def test_of_two_looks_at_once_one_tells_the_news(desk: Desk) -> None:
    await desk.delta()
    desk.shelf.bars[PAIR] = A
    told = await asyncio.gather(*(desk.delta() for _ in range(8)))
    assert sorted(one.delta.changed for one in told) == [False] * 7 + [True]


def broken(column: str, value: float) -> Bars:
    """A good series with one value that can't be."""
    columns = {name: np.array(getattr(A, name)) for name in Bars.__slots__}
    columns[column][30] = value
    return Bars(**columns)


@pytest.mark.parametrize(
    "bars",
    [
        broken("close", np.nan),
        broken("high", np.inf),
        broken("low", 0.0),
        broken("open", -1.0),
        broken("volume", -1.0),
        broken("open_ms", 29 * 3_600_000),
    ],
)
async def test_candles_that_can_t_be_are_an_upstream_error_and_leave_nothing(desk: Desk, bars: Bars) -> None:
    desk.shelf.bars[PAIR] = bars
    for call in (desk.brief(), desk.delta()):
        with pytest.raises(CandlesFailed) as refused:
            await call
        assert (refused.value.http_status, refused.value.code) == (502, "UPSTREAM_ERROR")
    assert await desk.looks() == 0


@pytest.mark.parametrize("trouble", [ServiceUnavailable(), OutcomeUnknown()])
async def test_a_market_that_does_not_answer_is_an_upstream_error(desk: Desk, trouble: AppError) -> None:
    desk.shelf.trouble = trouble
    with pytest.raises(CandlesFailed):
        await desk.brief()
    assert await desk.looks() == 0


async def test_nineteen_candles_are_too_few_and_twenty_enough(desk: Desk) -> None:
    desk.shelf.bars[PAIR] = walk(1, 19)
    with pytest.raises(CandlesTooFew) as refused:
        await desk.brief()
    assert refused.value.meta == {"have": 19, "need": 20}
    assert await desk.looks() == 0
    desk.shelf.bars[PAIR] = walk(1, 20)
    assert (await desk.brief()).header.n == 20


@pytest.mark.parametrize("ticker", ["ZZZ/USDT", "ZZZ", "zzz/usdt"])
async def test_an_unknown_pair_has_no_candles(desk: Desk, ticker: str) -> None:
    with pytest.raises(CandlesTooFew):
        await desk.delta(ticker=ticker)


@pytest.mark.parametrize("ticker", ["ZZZ/U", "A/B/C", "ZZZ.X", "ABCDEFGHIJKLMNOP/USDT", "/USDT"])
async def test_what_is_no_pair_at_all_is_a_bad_parameter(desk: Desk, ticker: str) -> None:
    with pytest.raises(TickerUnreadable):
        await desk.delta(ticker=ticker)


async def test_evidence_nobody_has_yet_is_left_out(desk: Desk) -> None:
    brief = await desk.brief(evidence=True)
    assert isinstance(brief.analysis, m.Analysis)
    assert "hist" not in str(brief.analysis.nl)
    table = await desk.briefs.table(m.ScanTableAsk())
    assert (table.rows, table.disclaimer) == ([], brief.disclaimer)
