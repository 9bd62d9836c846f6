"""Nothing that fired is lost and nothing fires twice, whatever crashes when; against a slow oracle."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from libs.common import outbox as outbox_module
from libs.common.errors import OutcomeUnknown
from libs.common.messages import alerts as m
from services.alerts import store as store_module
from services.alerts import writer as writer_module
from tests.conftest import wait_until
from tests.integration.alerts.stage import LOGIN, Stage
from tests.unit.alerts.oracle import Oracle, Plain


async def arm(stage: Stage, chance: random.Random, price: float) -> Plain:
    """An alert of any condition near ``price``, in the service and for the oracle."""
    low, high = sorted(
        (round(price + chance.uniform(-0.02, 0.02), 5), round(price + chance.uniform(-0.02, 0.02), 5))
    )
    plain = Plain(
        id=0,
        side=chance.randrange(2),
        condition=chance.randrange(13),
        repeat=chance.random() < 0.5,
        target=low,
        low=low,
        high=round(high + 0.00001, 5),
        move=round(chance.uniform(0.001, 1.0), 4),
    )
    plain.id = await stage.create(
        plain.condition,
        side=plain.side,
        repeat_mode=int(plain.repeat),
        target_price=plain.target,
        channel_low=plain.low,
        channel_high=plain.high,
        move_threshold=plain.move,
    )
    return plain


async def logged(stage: Stage) -> Counter[tuple[int, float]]:
    found: Counter[tuple[int, float]] = Counter()
    offset = 0
    while page := await stage.log(limit=10_000, offset=offset):
        found.update((row["alert_id"], row["triggered_price"]) for row in page)
        offset += len(page)
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_crashes_between_ticks_lose_and_repeat_nothing(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    oracle = Oracle(*stage.market.sent["EURUSD"][-1])
    expected: Counter[tuple[int, float]] = Counter()
    price = 1.1
    for _ in range(6):
        for _ in range(12):
            plain = await arm(stage, chance, price)
            plain.reference = stage.service._book.watch("raw", "EURUSD").price(plain.side) or 0.0
            oracle.alerts[plain.id] = plain
        for _ in range(60):
            price = round(price + (1.1 - price) / 10 + chance.gauss(0, 0.006), 5)
            await stage.market.put("EURUSD", price, lose=chance.random() < 0.1)
            expected.update(oracle.tick(*stage.market.sent["EURUSD"][-1]))
        await stage.bus.flush()
        if chance.random() < 0.7:
            await stage.crash()
            for _ in range(chance.randrange(4)):  # ticks nobody hears
                price = round(price + chance.gauss(0, 0.01), 5)
                await stage.market.put("EURUSD", price)
                expected.update(oracle.tick(*stage.market.sent["EURUSD"][-1]))
            await stage.start()
        await stage.market.put("EURUSD", price)
        expected.update(oracle.tick(*stage.market.sent["EURUSD"][-1]))
        await stage.judged()
    assert await logged(stage) == expected, f"seed {seed}"
    active = {plain.id for plain in oracle.alerts.values() if plain.active}
    assert {row["id"] for row in await stage.rows() if row["status"] == 0} == active
    frames = await wait_until(lambda: _all_pushed(stage, expected.total()))
    assert Counter((frame[1], frame[15]) for frame in frames) == expected
    assert expected.total() > 30


async def _all_pushed(stage: Stage, count: int) -> Any:
    frames = await stage.pushes()
    return frames if len(frames) >= count else None


async def test_a_crash_between_two_pieces_of_one_storm_repeats_and_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "PIECE", 10)
    once = [await stage.create(0, target_price=1.2) for _ in range(25)]
    again = [await stage.create(0, target_price=1.2, repeat_mode=1) for _ in range(25)]
    moving = [await stage.create(8, move_threshold=0.05, repeat_mode=1) for _ in range(10)]
    pieces = 0
    write_hits = writer_module.Writer._write_hits

    async def fail_in_the_third(self: Any, tx: Any, hits: Any, before: Any = None) -> None:
        nonlocal pieces
        await write_hits(self, tx, hits, before)
        pieces += 1
        if pieces == 3:
            raise ConnectionError("the server went away")

    monkeypatch.setattr(writer_module.Writer, "_write_hits", fail_in_the_third)
    for price in (1.21, 1.1, 1.22):
        await stage.market.put("EURUSD", price)
    frames = await wait_until(lambda: _all_pushed(stage, 85))
    await stage.judged()
    found = await logged(stage)
    assert {found[id, 1.21] for id in once} == {1}
    assert {(found[id, 1.21], found[id, 1.22]) for id in again} == {(1, 1)}
    assert {found[id, 1.21] for id in moving} == {1}
    assert found.total() == 25 + 50 + 10
    assert pieces > 3
    assert Counter((frame[1], frame[15]) for frame in frames) == found


async def test_a_storm_killed_while_its_pushes_are_held_back_is_told_after_the_restart_once_and_in_order(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pieces are committed, the fourth is written; nothing was pushed when the process is gone."""
    monkeypatch.setattr(writer_module, "PIECE", 10)
    monkeypatch.setattr(outbox_module, "HELD_S_MAX", 3600.0)
    ids = [await stage.create(0, target_price=1.2 + n / 1000) for n in range(45)]
    write_hits = writer_module.Writer._write_hits
    written = asyncio.Event()

    async def stay_in_the_fourth(self: Any, tx: Any, piece: Any, before: Any = None) -> None:
        await write_hits(self, tx, piece, before)
        if piece.struck[0].hit.alert_id == ids[30]:
            written.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(writer_module.Writer, "_write_hits", stay_in_the_fourth)
    await stage.market.put("EURUSD", 1.3)
    await wait_until(written.is_set)
    assert [row["alert_id"] for row in (await stage.log())[::-1]] == ids[:30]
    assert await stage.pushes() == []
    relay = stage.service._writer._relay
    assert relay._task is not None
    relay._task.cancel()
    await asyncio.gather(relay._task, return_exceptions=True)
    relay._task = None  # nothing is left to be stopped in good order
    await stage.crash()
    assert await stage.pushes() == []
    monkeypatch.setattr(writer_module.Writer, "_write_hits", write_hits)
    await stage.start()
    frames = await wait_until(lambda: _all_pushed(stage, 45))
    await stage.judged()
    assert [frame[1] for frame in frames] == ids
    assert await logged(stage) == Counter({(id, 1.3): 1 for id in ids})


async def test_a_failed_write_answers_unknown_and_the_service_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    armed = await stage.create(0, target_price=1.2)
    put_seen = stage.service._store.put_seen
    failures = 2

    async def fail(tx: Any, watches: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise ConnectionError("the server went away")
        await put_seen(tx, watches)

    monkeypatch.setattr(stage.service._store, "put_seen", fail)
    with pytest.raises(OutcomeUnknown):
        await stage.create(0, target_price=1.3)
    assert [row["id"] for row in await stage.rows()] == [armed]  # rolled back with what failed
    await stage.market.put("EURUSD", 1.25)
    await wait_until(stage.log)
    assert await logged(stage) == Counter({(armed, 1.25): 1})
    assert failures == 0
    assert await stage.service.problem() is None
    assert await stage.create(0, target_price=1.4)


async def test_what_fired_while_down_is_marked(stage: Stage) -> None:
    first = await stage.create(0, target_price=1.2, comment="mine")
    second = await stage.create(1, target_price=1.0)
    await stage.judged()
    await stage.stop()
    await stage.market.put("EURUSD", 1.25)
    await stage.market.put("EURUSD", 1.1)
    await stage.start()
    await stage.judged()
    assert [(r["alert_id"], r["triggered_price"], r["comment"]) for r in await stage.log()] == [
        (first, 1.25, "mine [caught up]")
    ]
    await stage.market.put("EURUSD", 0.9)
    await stage.judged()
    assert [(r["alert_id"], r["comment"]) for r in await stage.log(limit=1)] == [(second, "")]


async def test_what_the_ring_no_longer_holds_is_judged_from_the_last_known_tick(stage: Stage) -> None:
    id = await stage.create(0, target_price=1.2)
    await stage.judged()
    await stage.stop()
    stage.market.ring = 2
    for _ in range(10):
        await stage.market.put("EURUSD", 1.3)
    await stage.start()
    await stage.judged()
    (row,) = await stage.log()
    assert (row["alert_id"], row["triggered_price"]) == (id, 1.3)
    assert row["comment"] == "[after missing ticks]"


async def test_what_nobody_can_give_any_more_is_caught_up_from_the_candles_between(stage: Stage) -> None:
    """Whole candles after the last tick judged count; the one it lies in and the one under way do not."""
    minute_s = 1_700_000_040  # a whole minute after the stand's first ticks
    stage.market.candles = [
        [1.1, 9.0, 0.1, 1.1, 1, minute_s - 60],  # holds the last tick judged
        [1.1, 1.3, 1.05, 1.2, 1, minute_s],
        [1.2, 1.25, 1.0, 1.1, 1, minute_s + 60],
        [1.1, 9.0, 0.1, 1.1, 1, minute_s + 120],  # under way at the first tick after
    ]
    up = await stage.create(0, target_price=1.28)
    down = await stage.create(1, target_price=1.02, side=1, repeat_mode=1)
    far = await stage.create(0, target_price=1.4)
    await stage.judged()
    await stage.stop()
    stage.market.ring = 1
    stage.market.at_ms = (minute_s + 125) * 1000
    for _ in range(3):
        await stage.market.put("EURUSD", 1.1)
    await stage.start()
    await stage.judged()
    assert [(r["alert_id"], r["triggered_price"], r["comment"]) for r in await stage.log()] == [
        (down, 1.0001, "[from candles]"),
        (up, 1.3, "[from candles]"),
    ]
    assert {r["id"]: r["status"] for r in await stage.rows()} == {up: 1, down: 0, far: 0}
    await stage.crash()
    await stage.start()
    await stage.market.put("EURUSD", 1.1)
    await stage.judged()
    assert len(await stage.log()) == 2


async def test_lost_ticks_are_fetched_before_later_ones_are_judged(stage: Stage) -> None:
    up = await stage.create(0, target_price=1.2)
    down = await stage.create(1, target_price=1.0)
    await stage.market.put("EURUSD", 1.21, lose=True)
    await stage.market.put("EURUSD", 0.99, lose=True)
    await stage.market.put("EURUSD", 1.1)
    await stage.judged()
    assert [(r["alert_id"], r["triggered_price"]) for r in await stage.log()] == [(down, 0.99), (up, 1.21)]
    assert [r["comment"] for r in await stage.log()] == ["", ""]


async def test_an_idle_restart_judges_nothing_again(stage: Stage) -> None:
    """A level condition that has fired and still holds is not new after a restart; a fresh one still is."""
    held = await stage.create(2, target_price=1.05, repeat_mode=1)
    await stage.market.put("EURUSD", 1.11)
    await stage.judged()
    fresh = await stage.create(2, target_price=1.05, repeat_mode=1)
    inside = await stage.create(6, channel_low=1.0, channel_high=1.2)
    for _ in range(2):
        await stage.crash()
        await stage.start()
    await stage.market.put("EURUSD", 1.12)
    await stage.judged()
    assert await logged(stage) == Counter({(held, 1.11): 1, (fresh, 1.12): 1, (inside, 1.12): 1})
    await stage.crash()
    await stage.start()
    await stage.market.put("EURUSD", 1.13)
    await stage.judged()
    assert (await logged(stage)).total() == 3


async def test_commands_and_ticks_at_once_keep_book_and_tables_equal(stage: Stage) -> None:
    chance = random.Random(7)
    ids: list[int] = []
    for round_ in range(15):
        for _ in range(6):
            ids.append(
                await stage.create(chance.choice([0, 1, 12]), target_price=round(chance.uniform(1.0, 1.2), 5))
            )
        for _ in range(3):
            await stage.market.put("EURUSD", round(chance.uniform(1.0, 1.2), 5))
        if round_ % 3 == 0 and ids:
            await stage.service.delete(m.AlertDelete(id=ids.pop(chance.randrange(len(ids))), login=LOGIN))
    await stage.judged()
    active = [row for row in await stage.rows() if row["status"] == 0]
    levels = sum(2 if row["condition"] == 12 else 1 for row in active)
    assert len(stage.service._book) == levels
    await stage.crash()
    await stage.start()
    assert len(stage.service._book) == levels


async def test_an_alert_made_while_older_ticks_are_still_missing_is_not_fired_by_them(stage: Stage) -> None:
    asked = stage.market._since
    gate = asyncio.Event()

    async def slow(ask: Any, call: Any) -> Any:
        await gate.wait()
        return await asked(ask, call)

    await stage.market.serve_since(slow)
    await stage.create(0, target_price=9.0)
    await stage.market.put("EURUSD", 1.3, lose=True)
    await stage.market.put("EURUSD", 1.1)
    await stage.bus.flush()
    await wait_until(lambda: stage.service._reader.lags())
    id = await stage.create(0, target_price=1.2)
    gate.set()
    await stage.judged()
    assert await stage.log() == []
    await stage.market.put("EURUSD", 1.25)
    await stage.judged()
    assert [(row["alert_id"], row["triggered_price"]) for row in await stage.log()] == [(id, 1.25)]


async def test_the_rows_of_very_many_hits_are_those_of_few(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From some number on log and outbox rows are copied in: nobody can tell."""
    monkeypatch.setattr(store_module, "COPY_FROM", 5)
    monkeypatch.setattr(outbox_module, "COPY_FROM", 5)
    monkeypatch.setattr(stage, "alerts_max", 100)
    texts = {"indicator_name": "line", "message": "m", "comment": " a note "}
    few = [await stage.create(0, target_price=1.2, **texts)]
    many = [await stage.create(0, target_price=1.3 + n / 1000, repeat_mode=1, **texts) for n in range(8)]
    await stage.market.put("EURUSD", 1.25)
    await stage.market.put("EURUSD", 1.4)
    await stage.judged()
    rows = (await stage.log())[::-1]
    assert [row["alert_id"] for row in rows] == few + many
    assert sorted(row["id"] for row in rows) == [row["id"] for row in rows]
    own = ("id", "alert_id", "target_price", "triggered_price")
    assert len({tuple(v for k, v in row.items() if k not in own) for row in rows}) == 1
    assert [row["triggered_price"] for row in rows] == [1.25] + [1.4] * 8
    frames = await wait_until(lambda: _all_pushed(stage, 9))
    assert [frame[1] for frame in frames] == few + many

    async def told() -> Any:
        facts = await stage.facts()
        return facts if len(facts) == len(rows) else None

    facts = await wait_until(told)
    assert [(fact["alert_id"], fact["log_id"]) for fact in facts] == [
        (row["alert_id"], row["id"]) for row in rows
    ]


async def test_the_minutes_in_which_a_hole_begins_and_ends_count_where_they_tell_something_new(
    stage: Stage,
) -> None:
    """Their candles hold judged prices too: only an extreme beyond those was in the hole."""
    begun_s, ended_s = 1_700_000_100, 1_700_000_160
    seq = stage.market.seq["EURUSD"]
    await stage.create(0, target_price=5.0)
    stage.market.at_ms = begun_s * 1000 - seq
    for price in (1.1, 1.2, 1.1):
        await stage.market.put("EURUSD", price)
    await stage.judged()
    begun_up = await stage.create(0, target_price=1.15, repeat_mode=1)  # was passed in that minute, before
    begun_down = await stage.create(1, target_price=1.05)
    ended_up = await stage.create(0, target_price=1.45)
    ended_down = await stage.create(1, target_price=0.95)
    await stage.judged()
    await stage.stop()
    stage.market.candles = [
        [1.1, 1.2, 1.02, 1.1, 1, begun_s],  # its high is known, its low is news
        [1.1, 1.5, 0.9, 1.1, 1, ended_s],  # its low came after the hole, its high in it
    ]
    stage.market.ring = 3
    stage.market.at_ms = (ended_s + 60) * 1000 - (seq + 3 + 6)  # the third of the ring opens the next minute
    for price in (1.1, 1.1, 1.1, 1.1, 0.9, 1.1):
        await stage.market.put("EURUSD", price)
    await stage.start()
    await stage.judged()
    assert [(r["alert_id"], r["triggered_price"], r["comment"]) for r in (await stage.log())[::-1]] == [
        (begun_down, 1.02, "[from candles]"),
        (begun_up, 1.5, "[from candles]"),
        (ended_up, 1.5, "[from candles]"),
        (ended_down, 0.9, "[caught up]"),
    ]
