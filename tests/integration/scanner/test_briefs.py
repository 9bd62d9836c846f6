"""Briefs on a real database: what is remembered, what is refused, and that a refusal leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
import pytest_asyncio

from libs.common.candles import BY_NAME
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.errors import AppError, OutcomeUnknown, Retry, ServiceUnavailable
from libs.common.messages import analysis as m
from services.scanner import keeper
from services.scanner.bars import Bars
from services.scanner.brief_store import BriefStore
from services.scanner.briefs import Briefs
from services.scanner.delta import FIRST_NOTE
from services.scanner.errors import CandlesFailed, CandlesTooFew, NotCounted, TickerUnreadable
from services.scanner.keeper import Keeper
from tests.integration.market.rig import START
from tests.unit.scanner.series import A, D, walk

PAIR, HOLDER = "BTC/USDT", "key:1"
JUDGED = """
WITH place AS (
    INSERT INTO scanner.place (symbol, timeframe, done_ms, trend) VALUES ($1, $2, $3, 'up')
)
INSERT INTO scanner.detection (id, symbol, timeframe, pattern, direction, is_baseline, start_ms, end_ms,
                               known_ms, detected_ms, stored_ms, confidence, price, atr, span)
VALUES (gen_random_uuid(), $1, $2, 'hammer', 1, false, $3, $3, $3, $3, $3, 0.8, 1.0, 1.0, 1)
"""


class Shelf:
    """Candles held in memory, with what may be wrong with them."""

    def __init__(self) -> None:
        self.bars: dict[str, Bars] = {PAIR: D}
        self.trouble: AppError | None = None
        self.source_trouble: AppError | None = None
        self.closing = asyncio.Event()  # closed candles are given once this is set
        self.closing.set()

    async def find(self, ticker: str) -> str | None:
        return ticker.upper() if ticker.upper() in self.bars else None

    async def window(self, symbol: str, timeframe: str, limit: int) -> Bars:
        if self.trouble is not None:
            raise self.trouble
        return self.bars[symbol].last(limit)

    async def closed(self, symbol: str, timeframe: str, limit: int) -> Bars:
        await self.closing.wait()
        return await self.window(symbol, timeframe, limit)

    async def source(self, symbol: str, timeframe: str) -> str:
        if self.source_trouble is not None:
            raise self.source_trouble
        return "manual"


class Desk:
    """The use cases over a shelf."""

    def __init__(self, database: Database) -> None:
        self.shelf, self.database, store = Shelf(), database, BriefStore()
        self.clock = clock = ManualClock(START)
        self.judged = True  # what was loaded at the start
        self.keeper = Keeper(self.shelf, database, store, clock, lambda: self.judged)
        self.briefs = Briefs(
            source=self.shelf,
            database=database,
            store=store,
            clock=clock,
            keeper=self.keeper,
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
    desk = Desk(await database("scanner"))
    yield desk
    await desk.keeper.close()


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


async def judged_with_a_formation(desk: Desk) -> None:
    """One place in the table of places, with a formation at its last bar."""
    async with desk.database.connection() as connection:
        await connection.execute(JUDGED, PAIR, BY_NAME["1h"].id, int(D.open_ms[-1]))


async def test_nobody_pays_for_an_answer_while_it_is_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "PATIENCE_S", 0.01)
    await judged_with_a_formation(desk)
    desk.shelf.closing.clear()
    for call in (desk.briefs.table(m.ScanTableAsk()), desk.brief(evidence=True)):
        with pytest.raises(NotCounted) as refused:
            await call
        assert (refused.value.code, refused.value.http_status) == ("UPSTREAM_ERROR", 502)
        assert refused.value.retry is Retry.LATER
        assert refused.value.meta == {"retry_after_s": keeper.RETRY_AFTER_S}
    assert await desk.looks() == 0
    assert (await desk.brief()).header.sym == PAIR  # what is not counted is had at once
    monkeypatch.undo()
    desk.shelf.closing.set()
    assert [line.sym for line in (await desk.briefs.table(m.ScanTableAsk())).rows] == [PAIR]


async def test_nobody_pays_for_an_answer_before_what_was_loaded_is_judged(desk: Desk) -> None:
    desk.judged = False
    for call in (desk.briefs.table(m.ScanTableAsk()), desk.brief(evidence=True)):
        with pytest.raises(NotCounted):
            await call
    desk.judged = True
    await judged_with_a_formation(desk)
    assert len((await desk.briefs.table(m.ScanTableAsk())).rows) == 1
    desk.judged = False  # what was counted once stays
    assert len((await desk.briefs.table(m.ScanTableAsk())).rows) == 1


async def test_a_count_without_candles_is_none_and_takes_nothing_away(desk: Desk) -> None:
    await judged_with_a_formation(desk)
    desk.shelf.trouble = ServiceUnavailable()
    with pytest.raises(NotCounted):
        await desk.briefs.table(m.ScanTableAsk())
    desk.shelf.trouble = None
    told = await desk.briefs.table(m.ScanTableAsk())
    assert len(told.rows) == 1
    desk.shelf.trouble = ServiceUnavailable()
    desk.clock.advance(10 * keeper.OLD_S)
    desk.shelf.closing.clear()
    assert await desk.briefs.table(m.ScanTableAsk()) == told  # the old is given while it is counted again
    desk.shelf.closing.set()
    (counting,) = [task for task in asyncio.all_tasks() if task.get_name() == "experience"]
    await asyncio.wait([counting])
    assert await desk.briefs.table(m.ScanTableAsk()) == told


async def test_news_that_could_not_be_told_is_told_the_next_time(desk: Desk) -> None:
    await desk.delta()
    desk.shelf.bars[PAIR] = A
    desk.shelf.source_trouble = ServiceUnavailable()
    for call in (desk.brief(), desk.delta()):
        with pytest.raises(ServiceUnavailable):
            await call
    desk.shelf.source_trouble = None
    assert (await desk.delta()).delta.changed
