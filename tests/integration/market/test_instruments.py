"""Instruments and groups over the bus: stored, merged, announced, in force at once, kept by a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.errors import RemoteError
from libs.common.messages import market as m
from services.market import builtins
from services.market.instruments import effective
from tests.integration.market.rig import Rig, open_rig


async def stored_facts(bus: NatsBus, pattern: str, eventually: Any, count: int) -> list[bytes]:
    async def enough() -> list[bytes]:
        window = await bus.history("MARKET", pattern, 0, 100)
        found = [entry.payload for entry in window.entries]
        return found if len(found) >= count else []

    facts: list[bytes] = await eventually(enough)
    return facts


async def test_a_first_start_knows_the_built_ins_and_the_demo_group(rig: Rig) -> None:
    symbols = (await rig.ask(subjects.SYMBOL_LIST, m.SymbolList())).symbols
    assert [s.symbol for s in symbols] == list(builtins.INSTRUMENTS)
    assert " ".join(s.symbol for s in symbols[:4]) == "EURUSD GBPUSD USDJPY XAUUSD"
    assert {"BTCUSD", "ETHUSD", "SOLUSD", "BTC/USDT", "BNB/USDT", "XRP/USDT"} < {s.symbol for s in symbols}
    by_name = {s.symbol: s for s in symbols}
    assert [by_name[s].digits for s in ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD")] == [5, 5, 3, 2]
    assert [by_name[s].contract_size for s in ("EURUSD", "USDJPY", "XAUUSD", "BTCUSD")] == [1e5, 1e5, 100, 1]
    assert all(s.sessions is None for s in symbols)
    assert (await rig.ask(subjects.GROUP_LIST, m.GroupList())).groups == [
        m.Group(group="demo", company="Tradewind", default_leverage=100, default_deposit=10_000.0)
    ]


async def test_a_new_symbol_is_announced_and_shown_to_every_group(
    rig: Rig, bus: NatsBus, eventually: Any
) -> None:
    made = await rig.put_symbol("AUDNZD", digits=4)
    assert (made.quote_currency, made.margin_currency, made.point, made.tick_value) == (
        "NZD",
        "AUD",
        1e-4,
        10,
    )
    facts = await stored_facts(bus, "market.evt.instrument.changed.v1.AUDNZD", eventually, 1)
    assert b'"symbol":"AUDNZD"' in facts[0]
    view = await rig.ask(subjects.GROUP_VIEW, m.GroupViewAsk(group="demo"))
    assert view.profiles["AUDNZD"] == "raw"
    await rig.quote("AUDNZD", 1.1, 1.2)


async def test_a_put_merges_into_what_is_there_and_survives_a_restart(
    market_database: Database, bus: NatsBus
) -> None:
    async with open_rig(market_database, bus) as first:
        await first.put_symbol("EURUSD", stops_level=12, spread=15)
        await first.put_symbol("eurusd", stops_level=20)
        await first.put_group("demo", secgroups=[{"sec_index": 2, "show": 0}])
        changed = await first.put_group(
            "demo", margin_stopout=30, secgroups=[{"sec_index": 0, "spread_diff": 3}]
        )
    assert [(s.sec_index, s.show) for s in changed.secgroups] == [(0, 1), (2, 0)]
    async with open_rig(market_database, bus) as second:
        known = {s.symbol: s for s in (await second.ask(subjects.SYMBOL_LIST, m.SymbolList())).symbols}
        assert (known["EURUSD"].stops_level, known["EURUSD"].spread, known["EURUSD"].digits) == (20, 15, 5)
        assert await second.ask(subjects.GROUP_GET, m.GroupGet(group="demo")) == changed
        view = await second.ask(subjects.GROUP_VIEW, m.GroupViewAsk(group="demo"))
        assert view.profiles == {"EURUSD": "f18", "GBPUSD": "w3", "USDJPY": "w3", "XAUUSD": "raw"}


async def test_what_was_never_said_follows_from_what_was(rig: Rig) -> None:
    before = await rig.put_symbol("AAPL", sec_index=4, digits=2, contract_size=1)
    assert (before.group, before.point, before.tick_size, before.margin_hedged) == ("Stocks", 0.01, 0.01, 0.5)
    after = await rig.put_symbol("AAPL", digits=3)
    assert (after.point, after.tick_size, after.contract_size) == (0.001, 0.001, 1)


async def test_what_was_read_can_be_written_back_and_changed_after_that(rig: Rig) -> None:
    shown = (await rig.ask_json(subjects.SYMBOL_LIST, m.SymbolList()))["symbols"][0]
    assert await rig.put_symbol(shown.pop("symbol"), **shown) == effective("EURUSD", shown)
    assert (await rig.put_symbol("EURUSD", digits=3)).point == 0.001
    group = (await rig.ask_json(subjects.GROUP_LIST, m.GroupList()))["groups"][0]
    group["secgroups"] = [{"sec_index": 2, "show": 1, "lot_min": None, "comm_base": 1.0}]
    written = await rig.put_group(group["group"], **{k: v for k, v in group.items() if k != "group"})
    assert written.secgroups == (m.SecGroup(sec_index=2, comm_base=1.0),)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"colour": "red"}, "INVALID_DATA"),
        ({"digits": "5"}, "INVALID_DATA"),
        ({"digits": True}, "INVALID_DATA"),
        ({"digits": 11}, "INVALID_DATA"),
        ({"contract_size": 0}, "INVALID_DATA"),
        ({"lot_min": 5, "lot_max": 4}, "INVALID_DATA"),
        ({"symbol": "GBPUSD"}, "INVALID_DATA"),
        ({"sessions": [[]] * 6}, "INVALID_DATA"),
        ({"sessions": [[{"open_hour": 25}]] + [[]] * 6}, "INVALID_DATA"),
        ({"point": 0.5}, "INVALID_DATA"),
        ({"description": "\x00"}, "INVALID_DATA"),
        ({"description": "x" * 501}, "INVALID_DATA"),
        ({"sec_index": 9}, "RET_SEC_NOT_FOUND"),
        ({"group": "Energies"}, "RET_SEC_NOT_FOUND"),
    ],
)
async def test_an_unfit_symbol_is_refused_and_changes_nothing(
    rig: Rig, fields: dict[str, Any], code: str
) -> None:
    before = await rig.ask(subjects.SYMBOL_LIST, m.SymbolList())
    with pytest.raises(RemoteError) as refused:
        await rig.put_symbol("EURUSD", **fields)
    assert refused.value.code == code
    assert await rig.ask(subjects.SYMBOL_LIST, m.SymbolList()) == before


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"leverage": 100}, "INVALID_DATA", 400),
        ({"currency": "usd"}, "INVALID_DATA", 400),
        ({"company": "\x00"}, "INVALID_DATA", 400),
        ({"default_leverage": 0}, "INVALID_DATA", 400),
        ({"secgroups": {"sec_index": 0}}, "INVALID_DATA", 400),
        ({"secgroups": [{"show": 0}]}, "INVALID_DATA", 400),
        ({"secgroups": [{"sec_index": 0, "hide": 1}]}, "INVALID_DATA", 400),
        ({"secgroups": [{"sec_index": 7}]}, "RET_SEC_NOT_FOUND", 404),
        ({"secmargins": [{"symbol": "NOPE"}]}, "RET_SYMBOL_NOT_FOUND", 404),
        ({"secmargins": [{"symbol": "EURUSD", "margin_divider": 0}]}, "INVALID_DATA", 400),
    ],
)
async def test_an_unfit_group_is_refused(rig: Rig, fields: dict[str, Any], code: str, status: int) -> None:
    with pytest.raises(RemoteError) as refused:
        await rig.put_group("vip", **fields)
    assert (refused.value.code, refused.value.http_status) == (code, status)
    with pytest.raises(RemoteError) as unknown:
        await rig.ask(subjects.GROUP_GET, m.GroupGet(group="vip"))
    assert (unknown.value.code, unknown.value.http_status) == ("GROUP_NOT_FOUND", 404)


async def test_a_group_sees_its_own_values_and_not_what_it_hides(rig: Rig) -> None:
    await rig.put_group(
        "vip",
        currency="EUR",
        secgroups=[
            {"sec_index": 0, "lot_min": 10, "comm_base": 3.5, "spread_diff": 4},
            {"sec_index": 1, "show": 0},
        ],
        secmargins=[{"symbol": "eurusd", "spread_enable": 1, "spread": 20, "spread_balance": 2}],
    )
    await rig.quote("EURUSD", 1.1, 1.1001)
    info = await rig.ask_json(subjects.SYMBOL_INFO, m.SymbolAsk(login=7, group="vip", symbol="EURUSD"))
    assert (info["lot_min"], info["comm_base"], info["spread"], info["spread_balance"]) == (10, 3.5, 24, 2)
    assert (info["bid"], info["ask"]) == (1.10002, 1.10026)
    market = await rig.ask_json(subjects.ASSETS, m.AssetsAsk(login=7, group="vip"))
    assert "XAUUSD" not in market["assets"]
    assert market["groups"] == ["Forex", "Crypto"]
    with pytest.raises(RemoteError) as hidden:
        await rig.ask(subjects.SYMBOL_INFO, m.SymbolAsk(login=7, group="vip", symbol="XAUUSD"))
    assert (hidden.value.code, hidden.value.http_status) == ("SYMBOL_NOT_ALLOWED", 403)
    with pytest.raises(RemoteError) as unknown:
        await rig.ask(subjects.SYMBOL_INFO, m.SymbolAsk(login=7, group="vip", symbol="NOPE"))
    assert (unknown.value.code, unknown.value.http_status) == ("RET_SYMBOL_NOT_FOUND", 404)


async def test_changes_of_one_symbol_at_the_same_time_are_all_kept(rig: Rig) -> None:
    names = ("stops_level", "freeze_level", "swap_type", "exemode", "gtc_pendings", "long_only")
    await asyncio.gather(*(rig.put_symbol("EURUSD", **{name: 1}) for name in names))
    known = (await rig.ask(subjects.SYMBOL_LIST, m.SymbolList())).symbols[0]
    assert [getattr(known, name) for name in names] == [1] * len(names)
