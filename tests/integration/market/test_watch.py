"""The market watch and the short list over the bus."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common import subjects
from libs.common.errors import RemoteError
from libs.common.messages import market as m
from tests.integration.market.rig import START_MS, Rig

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def watched(rig: Rig, login: int = 7, group: str = "demo") -> dict[str, Any]:
    answer = await rig.ask_json(subjects.WATCH_LIST, m.WatchAsk(login=login, group=group))
    assets: dict[str, Any] = answer["assets"]
    return assets


async def add(rig: Rig, symbol: str, group: str = "demo") -> Any:
    return await rig.ask_json(subjects.WATCH_ADD, m.WatchAdd(login=7, group=group, symbol=symbol))


async def test_a_list_is_empty_until_symbols_are_added_in_their_order(rig: Rig) -> None:
    assert await watched(rig) == {}
    await add(rig, "BTC/USDT")
    await add(rig, "eurusd")
    await add(rig, "EURUSD")
    assert [(s, a["sort_index"]) for s, a in (await watched(rig)).items()] == [("BTC/USDT", 0), ("EURUSD", 1)]
    assert await watched(rig, login=8) == {}


async def test_adding_answers_the_prices_of_the_day(rig: Rig) -> None:
    hours = [(START_MS + (i - 29) * HOUR_MS, 1, 1 + i / 100, 1, 1 + i / 100, 5) for i in range(30)]
    await rig.put_candles("EURUSD", "1h", *hours)
    await rig.put_candles("EURUSD", "1d", (START_MS - DAY_MS, 1, 2, 1, 1, 5), (START_MS, 1, 2, 1, 1.5, 5))
    answer = await add(rig, "EURUSD")
    assert list(answer) == ["EURUSD"]
    assert answer["EURUSD"] == {
        "symbol": "EURUSD",
        "price1d": 50.0,
        "high": 1.29,
        "low": 1.0,
        "prices": [pytest.approx(1 + i / 100) for i in range(6, 30)],
    }
    line = (await watched(rig))["EURUSD"]
    assert list(line) == (
        ["symbol", "sort_index", "color", "market_state", "market_reason", "price1d", "high", "low", "prices"]
    )
    assert (line["market_state"], line["market_reason"], line["price1d"]) == (1, 0, 50.0)


async def test_without_candles_everything_is_zero(rig: Rig) -> None:
    answer = await add(rig, "EURUSD")
    assert answer["EURUSD"] == {"symbol": "EURUSD", "price1d": 0.0, "high": 0.0, "low": 0.0, "prices": []}


async def test_place_and_colour_change_one_by_one(rig: Rig) -> None:
    await add(rig, "EURUSD")
    await rig.ask(
        subjects.WATCH_UPDATE, m.WatchUpdate(login=7, group="demo", symbol="EURUSD", color="#a0B1c2")
    )
    await rig.ask(subjects.WATCH_UPDATE, m.WatchUpdate(login=7, group="demo", symbol="EURUSD", sort_index=9))
    line = (await watched(rig))["EURUSD"]
    assert (line["sort_index"], line["color"]) == (9, "#a0B1c2")


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"symbol": "GBPUSD", "sort_index": 1}, "MARKET_WATCH_SYMBOL_NOT_FOUND", 404),
        ({"symbol": "NOPE", "sort_index": 1}, "MARKET_WATCH_SYMBOL_NOT_FOUND", 404),
        ({"symbol": "EURUSD"}, "INVALID_DATA", 400),
        ({"symbol": "EURUSD", "color": "red"}, "INVALID_DATA", 400),
        ({"symbol": "EURUSD", "sort_index": 2**40}, "INVALID_DATA", 400),
    ],
)
async def test_an_unfit_change_is_refused(rig: Rig, change: dict[str, Any], code: str, status: int) -> None:
    await add(rig, "EURUSD")
    with pytest.raises(RemoteError) as refused:
        await rig.ask(subjects.WATCH_UPDATE, m.WatchUpdate(login=7, group="demo", **change))
    assert (refused.value.code, refused.value.http_status) == (code, status)


async def test_removing_is_fine_twice_and_for_what_never_was_there(rig: Rig) -> None:
    await add(rig, "EURUSD")
    for symbol in ("EURUSD", "EURUSD", "GBPUSD", "NOPE"):
        answer = await rig.ask_json(subjects.WATCH_REMOVE, m.WatchRemove(login=7, symbol=symbol))
        assert answer == {"data": "OK"}
    assert await watched(rig) == {}


async def test_unknown_and_hidden_symbols_can_not_be_watched(rig: Rig) -> None:
    with pytest.raises(RemoteError) as unknown:
        await add(rig, "NOPE")
    assert (unknown.value.code, unknown.value.http_status) == ("RET_SYMBOL_NOT_FOUND", 404)
    await add(rig, "XAUUSD")
    await rig.put_group("demo", secgroups=[{"sec_index": 1, "show": 0}])
    assert await watched(rig) == {}
    with pytest.raises(RemoteError) as hidden:
        await add(rig, "XAUUSD")
    assert hidden.value.http_status == 403
    with pytest.raises(RemoteError) as no_group:
        await add(rig, "EURUSD", group="nobody")
    assert (no_group.value.code, no_group.value.http_status) == ("GROUP_NOT_FOUND", 404)


async def test_the_short_list_has_a_row_for_every_symbol_that_is_shown(rig: Rig) -> None:
    await rig.quote("EURUSD", 1.1, 1.2)
    await rig.put_symbol("EURUSD", sessions=[[]] * 7)
    await rig.put_symbol("GBPUSD", trade=0)
    answer = await rig.ask_json(subjects.SHORT_LIST, m.AssetsAsk(login=7, group="demo"))
    columns = answer["assets"]["structure"]
    rows = [dict(zip(columns, row, strict=True)) for row in answer["assets"]["rows"]]
    by_symbol = {row["symbol"]: row for row in rows}
    assert len(by_symbol) == 12
    assert answer["groups"] == ["Forex", "Metals", "Crypto"]
    eurusd, gbpusd = by_symbol["EURUSD"], by_symbol["GBPUSD"]
    assert (eurusd["bid"], eurusd["ask"], eurusd["price1d"]) == (1.1, 1.2, 0.0)
    assert (eurusd["market_state"], eurusd["market_reason"]) == (0, 3)
    assert (gbpusd["bid"], gbpusd["ask"]) == (0.0, 0.0)
    assert (gbpusd["market_state"], gbpusd["market_reason"]) == (0, 4)


async def test_performance_and_seasons_come_from_stored_candles(rig: Rig) -> None:
    day0 = START_MS - START_MS % DAY_MS
    await rig.put_candles(
        "EURUSD", "1d", *((day0 - i * DAY_MS, 1, 2, 1, 1 + i / 1000, 1) for i in range(100))
    )
    await rig.put_candles(
        "EURUSD", "1M", (1_764_547_200_000, 1, 2, 1, 1.25, 1), (1_767_225_600_000, 1.25, 2, 1, 1.5, 1)
    )
    info = await rig.ask_json(subjects.SYMBOL_INFO, m.SymbolAsk(login=7, group="demo", symbol="EURUSD"))
    assert info["performance"] == {
        "1W": round((1 / 1.007 - 1) * 100, 2),
        "1M": round((1 / 1.030 - 1) * 100, 2),
        "3M": round((1 / 1.091 - 1) * 100, 2),
        "6M": None,
        "YTD": round((1 / 1.061 - 1) * 100, 2),
        "1Y": None,
    }
    assert info["seasons"] == [[None] * 11 + [25.0], [20.0] + [None] * 11]
    assert info["ratings"] == {}
    assert len(info["sessions"]) == 7
    assert all(len(day["trade"]) == 3 for day in info["sessions"])
