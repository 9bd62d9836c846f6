"""Signals on real servers: recorded once, the same live and back-filled, in a chain, with their outcomes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.messages import signals as m
from services.scanner.signals import calibration
from services.scanner.signals.record import FIRST_HASH, broken_at, iso_ms
from tests.conftest import wait_until
from tests.integration.market.rig import START, open_rig
from tests.integration.scanner.rig import HOUR_MS, Bar, Rig, open_scanner
from tests.oracles import isotonic
from tests.series import series

BTC = 1


def bars_of_series(count: int, step_ms: int = HOUR_MS) -> list[Bar]:
    """Real candles as if they had no holes, the last of them closed at START."""
    rows = series("EURUSD")[1_000 : 1_000 + count]
    begin = round(START.timestamp() * 1000) - count * step_ms
    return [
        (begin + at * step_ms, 100 * o, 100 * h, 100 * low, 100 * c, v)
        for at, (_, o, h, low, c, v) in enumerate(rows)
    ]


async def looked(rig: Rig, open_ms: int, cmc_id: int = BTC) -> None:
    """Wait until an asset's hourly bars were looked at up to one, and what that gave can be asked for."""

    async def reached() -> bool:
        rows = await rig.rows("SELECT done_ms FROM scanner.signal_place WHERE cmc_id = $1", cmc_id)
        if not rows or rows[0]["done_ms"] < open_ms:
            return False
        (recorded,) = await rig.rows("SELECT count(*) AS n FROM scanner.signal")
        page = await rig.ask(subjects.SIGNAL_LIST, m.SignalsAsk(limit=1))
        return bool(page.data.total == recorded["n"])

    await wait_until(reached)


async def record(rig: Rig) -> Sequence[Any]:
    return await rig.rows("SELECT * FROM scanner.signal ORDER BY position")


async def test_live_and_back_filled_signals_are_the_same_and_told_once(rig: Rig) -> None:
    bars = bars_of_series(700)
    await rig.load("BTC/USDT", "1h", bars[:680])
    await looked(rig, bars[679][0])
    for at in range(680, 700, 4):
        await rig.load("BTC/USDT", "1h", bars[at : at + 4])
        await looked(rig, bars[at + 3][0])
    told = await record(rig)
    assert told and {row["recorded_ms"] for row in told} <= {bar[0] + HOUR_MS for bar in bars[632:]}
    for row in told:
        name = f"1|1h|{iso_ms(row['recorded_ms'])}|1"
        assert row["id"] == uuid.uuid5(uuid.NAMESPACE_URL, name)
    # The same candles again tell nothing; their back-fill finds every signal there, and makes older ones.
    await rig.load("BTC/USDT", "1h", bars)
    from_ms = bars[632][0] + HOUR_MS
    again = await rig.ask(subjects.SIGNAL_BACKFILL, m.BackfillAsk(timeframe="1h", from_ms=from_ms))
    assert (again.bars, again.signals, again.new_signals) == (68, len(told), 0)
    more = await rig.ask(subjects.SIGNAL_BACKFILL, m.BackfillAsk(timeframe="1h", cmc_id=BTC))
    assert more.bars == 700 and more.new_signals == more.signals - len(told) > 0
    # Who follows the record hears what was told, in its order, and not what was back-filled.
    seen: list[str] = []
    page = await rig.ask(subjects.SIGNAL_FOLLOW, m.FollowAsk(filters=m.SignalsAsk(), position=0))
    while page.ids:
        seen += page.ids
        ask = m.FollowAsk(filters=m.SignalsAsk(limit=1, offset=3), position=page.position)
        page = await rig.ask(subjects.SIGNAL_FOLLOW, ask)
    rows = await record(rig)
    assert seen == [str(row["id"]) for row in told] and page.position == len(rows)
    now = await rig.ask(subjects.SIGNAL_FOLLOW, m.FollowAsk(filters=m.SignalsAsk()))
    assert (now.position, now.ids, now.more) == (len(rows), [], False)
    behind = m.FollowAsk(filters=m.SignalsAsk(since=seen[-2]))
    assert (await rig.ask(subjects.SIGNAL_FOLLOW, behind)).ids == seen[-1:]
    assert [bytes(row["body"], "utf-8") for row in rows[: len(told)]] == [
        bytes(row["body"], "utf-8") for row in told
    ]
    chain = [(row["position"], row["body"], row["evidence"], row["hash"]) for row in rows]
    assert broken_at(chain) is None and chain[0][3] != FIRST_HASH
    facts = await rig.facts(subjects.SIGNAL_RECORDED)
    assert {fact.signal_id for fact in facts} == {str(row["id"]) for row in told}
    assert len({fact.event_id for fact in facts}) == len(facts)


async def test_outcomes_are_those_of_the_bars_that_followed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = bars_of_series(620)
    await rig.load("BTC/USDT", "1h", bars)
    await looked(rig, bars[-1][0])
    by_close = {bar[0] + HOUR_MS: at for at, bar in enumerate(bars)}

    async def settled() -> bool:
        due = bars[-1][0] + HOUR_MS
        waiting = await rig.rows("SELECT 1 FROM scanner.signal_waiting WHERE due_ms <= $1", due)
        return not waiting

    await wait_until(settled)
    rows = await rig.rows(
        "SELECT s.*, o.* FROM scanner.signal AS s JOIN scanner.signal_outcome AS o USING (position)"
    )
    assert {row["horizon"] for row in rows} == {1, 4, 24}
    for row in rows:
        at, hours = by_close[row["recorded_ms"]], row["horizon"]
        after, price = bars[at + 1 : at + 1 + hours], bars[at][4]
        sign = {"bullish": 1, "bearish": -1, "neutral": 1}[row["sentiment"]]
        reached = [sign * (bar[side] / price - 1) for bar in after for side in (2, 3)]
        assert row["forward"] == after[-1][4] / price - 1
        assert row["mfe"] == max(0.0, *reached) and row["mae"] == min(0.0, *reached)
        expected = None if row["sentiment"] == "neutral" else sign * row["forward"] > 0.001
        assert row["hit"] is expected
    assert (await rig.ask(subjects.SIGNAL_PERFORMANCE, m.OutcomesAsk())).calibration == []  # too few
    monkeypatch.setattr(calibration, "ENOUGH", 4)
    shown = await rig.ask(subjects.SIGNAL_PERFORMANCE, m.OutcomesAsk(timeframe="1h"))
    fits = {row.horizon: row for row in shown.calibration}
    told = sorted(
        (row["recorded_ms"], row["position"], round(row["confidence"], 2), row["hit"])
        for row in rows
        if row["horizon"] == 4 and row["hit"] is not None
    )
    fitted = isotonic.fitted([(confidence, 1, int(hit)) for *_, confidence, hit in told])
    assert fits["4h"].n == len(told) == sum(step.n for step in fits["4h"].steps)
    for step in fits["4h"].steps:
        assert step.hit_rate == round(float(fitted[step.confidence]), 4)
    later = told[(len(told) + 1) // 2 :]
    brier = sum((confidence - hit) ** 2 for *_, confidence, hit in later) / len(later)
    assert fits["4h"].brier == pytest.approx(brier, abs=5.1e-5)
    n = sum(row.n for row in shown.rows if row.horizon == "4h" and row.trigger == "pattern")
    assert n == sum(1 for row in rows if row["horizon"] == 4 and "pattern" in row["triggers"])
    assert all(row.insufficient == (row.n < 30) for row in shown.rows)
    one = next(row for row in shown.rows if row.horizon == "4h" and row.sentiment != "neutral")
    forwards = [bars[i + 4][4] / bars[i][4] - 1 for i in range(len(bars) - 4)]
    assert one.baseline_return_pct is not None
    assert min(forwards) < one.baseline_return_pct / 100 < max(forwards)


async def test_what_a_signal_shows_is_of_the_bars_before_it(rig: Rig) -> None:
    bars = bars_of_series(600)
    supplies = m.AssetPut(
        cmc_id=77,
        name="Euro % _'\"Coin",
        symbol="EUR",
        chains=["Ethereum", "Zürich ẞ"],
        narratives=["Payments", "New one"],
        tags=["fx"],
        circulating=10.0,
        total=20.0,
        market="eurusd",  # looked up as every symbol is
    )
    before = await rig.ask(subjects.ASSET_REGISTRY, m.RegistryAsk())
    taken = await rig.ask(subjects.ASSET_REGISTRY_PUT, m.AssetsPut(assets=[supplies]))
    assert (taken.taken, taken.assets) == (1, len(before.assets) + 1)
    await rig.load("EURUSD", "1h", bars)
    await looked(rig, bars[-1][0], 77)
    page = await rig.ask(subjects.SIGNAL_LIST, m.SignalsAsk(cmc_id=77, limit=50))
    assert page.data.total == len(page.data.data) > 0
    by_close = {iso_ms(bar[0] + HOUR_MS): at for at, bar in enumerate(bars)}
    for raw in page.data.data:
        signal = json.loads(bytes(raw))
        at = by_close[signal["recordedAt"]]
        day = bars[at - 23 : at + 1]
        assert signal["price"] == bars[at][4]
        assert signal["marketCap"] == round(10.0 * bars[at][4], 2)
        assert signal["fullyDilutedMarketCap"] == round(20.0 * bars[at][4], 2)
        assert abs(signal["volume24h"] - sum(b[4] * b[5] for b in day)) < 1e-6 * signal["volume24h"]
        assert abs(signal["priceChange1h"] - 100 * (bars[at][4] / bars[at - 1][4] - 1)) <= 5.1e-5
        assert [point["price"] for point in signal["graphData"]] == [b[4] for b in day]
        assert [point["time"] for point in signal["graphData"]] == [iso_ms(b[0] + HOUR_MS) for b in day]
        assert signal["graphData"][-1]["volume"] == signal["volume24h"]
        assert signal["tags"][0] == "EUR" and signal["tags"][-1] == "fx"
        assert signal["narratives"] == ["Payments", "New one"]
    names = await rig.ask(subjects.SIGNAL_NAMES, m.NamesAsk(kind="narrative"))
    ids = {one.name: one.id for one in names.items}
    assert ids["New one"] == max(ids.values())
    found = await rig.ask(subjects.SIGNAL_LIST, m.SignalsAsk(narrative=[ids["New one"]], chain=["zürich ss"]))
    assert found.data.total == page.data.total
    used = await rig.ask(subjects.SIGNAL_NAMES, m.NamesAsk(kind="chain"))
    assert {one.name for one in used.items} == {"Ethereum", "Zürich ẞ"}
    every = await rig.ask(subjects.SIGNAL_NAMES, m.NamesAsk(kind="chain", search="SOL"))
    assert [one.name for one in every.items] == ["Solana"]


async def test_a_scanner_that_starts_anew_goes_on_where_it_was(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus
) -> None:
    bars = bars_of_series(640)
    clock = ManualClock(START)
    market, scanner = await database("market"), await database("scanner")
    async with open_rig(market, bus, clock=clock):
        async with open_scanner(scanner, bus, clock) as app:
            rig = Rig(bus, clock, market, scanner, app)
            await rig.load("ETH/USDT", "1h", bars[:620])
            await looked(rig, bars[619][0], 1027)
            first = await record(rig)
            async with scanner.transaction() as tx:  # bars are looked at twice
                await tx.execute("UPDATE scanner.signal_place SET done_ms = done_ms - 3600000 * 10")
        async with open_scanner(scanner, bus, clock) as app:
            rig = Rig(bus, clock, market, scanner, app)
            await rig.load("ETH/USDT", "1h", bars)
            await looked(rig, bars[-1][0], 1027)
            rows = await record(rig)
            chain = [(row["position"], row["body"], row["evidence"], row["hash"]) for row in rows]
            assert broken_at(chain) is None
            assert [row["hash"] for row in rows[: len(first)]] == [row["hash"] for row in first]
            page = await rig.ask(subjects.SIGNAL_LIST, m.SignalsAsk(limit=1))
            assert page.data.total == len(rows)


async def test_a_burst_of_texts_is_told_and_kept_for_a_back_fill(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus, tmp_path: Path
) -> None:
    bars = bars_of_series(400)
    lines = [
        {
            "id": str(n),
            "title": f"Bitcoin rallies, says {who}",
            "source": who,
            "publishedAt": START.isoformat(),
        }
        for n, who in enumerate(("ann", "bob", "cat", "dan", "eve"))
    ]
    (tmp_path / "news.jsonl").write_text("\n".join(map(json.dumps, lines)))
    clock = ManualClock(START)
    market, scanner = await database("market"), await database("scanner")
    async with (
        open_rig(market, bus, clock=clock),
        open_scanner(scanner, bus, clock, texts_dir=str(tmp_path)) as app,
    ):
        rig = Rig(bus, clock, market, scanner, app)
        await rig.load("BTC/USDT", "1h", bars)
        await looked(rig, bars[-1][0])
        page = await rig.ask(subjects.SIGNAL_LIST, m.SignalsAsk(trigger=["text_burst"], evidence=True))
        (signal,) = (json.loads(bytes(raw)) for raw in page.data.data)
        assert signal["recordedAt"] == iso_ms(bars[-1][0] + HOUR_MS)
        assert "news-burst" in signal["tags"]
        (said,) = (part for part in signal["components"] if part["name"] == "txt")
        assert (said["value"], said["quality"]) == (0.5, 1.0)
        ask = m.BackfillAsk(timeframe="1h", from_ms=bars[-48][0] + HOUR_MS, cmc_id=BTC)
        again = await rig.ask(subjects.SIGNAL_BACKFILL, ask)
        assert (again.signals, again.new_signals) == (len(await record(rig)), 0)
