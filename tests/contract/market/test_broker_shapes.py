"""Column orders and literals of the broker contract 6 and 9, as the gateway passes market's bytes through."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.candles import Candle, broker_timeframe
from libs.common.messages import market as m
from libs.common.messages.house import Done
from libs.common.sessions import MarketState
from services.market import errors, views
from services.market.instruments import SECURITY_GROUPS, effective
from services.market.quotes import frame_of


def names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


SHORT = names(
    """symbol, description, currency, margin_currency, quote_currency, group, digits, trade, spread,
    spread_balance, swap_enable, margin_divider, margin_mode, stops_level, contract_size, long_only, ask, bid,
    point, tick_value, tick_size, market_state, market_reason, lot_min, lot_max, lot_step, comm_base,
    comm_type, exchange, category, industry, sector, shareholders, market_cap, price1d, icon"""
)
ASSET = names(
    """symbol, description, currency, margin_currency, quote_currency, group, digits, trade, profit_mode,
    exemode, spread, spread_balance, swap_enable, swap_type, swap_long, swap_short, swap_rollover3days,
    stops_level, freeze_level, gtc_pendings, margin_mode, margin_initial, margin_maintenance, margin_hedged,
    margin_divider, contract_size, long_only, instant_max_volume, max_volume, ask, bid, point, tick_value,
    tick_size, market_state, market_reason, lot_min, lot_max, lot_step, comm_base, comm_type, comm_lots,
    comm_agent, exchange, category, industry, sector, market_cap, sessions"""
)
SYMBOL_FIELDS = names(
    """symbol, description, source, currency, sec_index, digits, trade, sort_index, background_color,
    sessions, profit_mode, spread, spread_balance, exemode, swap_enable, swap_type, swap_long, swap_short,
    swap_rollover3days, swap_daily, contract_size, tick_value, tick_size, stops_level, freeze_level,
    gtc_pendings, margin_mode, margin_initial, margin_maintenance, margin_hedged, margin_hedged_strong,
    margin_divider, point, long_only, instant_max_volume, realtime, starting, expiration, quote_currency,
    margin_currency, value_date, quotes_delay"""
)
GROUP_FIELDS = names(
    """group, company, currency, enable, default_leverage, default_deposit, credit, margin_call,
    margin_stopout, margin_mode, margin_type, interestrate, use_swap, rights, maxpositions, close_reopen,
    hedge_prohibited, hedge_largeleg, partial_close, close_fifo, allow_sl_tp_slippage,
    allow_negative_margin_hedge, stopout_skip_hedged, archive_period, archive_pending_period, news, otp_mode,
    credit_withdrawal_policy, withdrawal_margin_reserve, bonus_usage_policy, deposit_reversal_policy,
    secgroups, secmargins"""
)
OPEN = MarketState(1, 0)
EURUSD = effective("EURUSD", {})


def json_of(message: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(message))


def test_the_short_list_has_the_36_columns_in_order() -> None:
    assert views.SHORT_COLUMNS == SHORT
    assert len(SHORT) == 36
    row = views.short_row(EURUSD, (1.1, 1.2), OPEN, 0.5)
    assert len(row) == 36
    assert dict(zip(SHORT, row, strict=True))["ask"] == 1.2


def test_a_symbol_object_has_every_field_of_6_3() -> None:
    asset = json_of(views.asset(EURUSD, (1.1, 1.2), OPEN))
    assert isinstance(asset, dict)
    assert tuple(asset) == ASSET
    info = json_of(views.asset_info(EURUSD, (1.1, 1.2), OPEN, [Candle(0, 1, 1, 1, 1, 0)], []))
    assert isinstance(info, dict)
    assert tuple(info) == (*ASSET, "ratings", "performance", "seasons")
    assert list(info["performance"]) == ["1W", "1M", "3M", "6M", "YTD", "1Y"]
    assert list(info["sessions"][0]) == ["trade_overnight", "trade"]
    assert list(info["sessions"][0]["trade"][0]) == ["open_hour", "open_min", "close_hour", "close_min"]


def test_symbols_and_groups_take_every_field_of_section_9() -> None:
    assert set(SYMBOL_FIELDS) <= set(m.Instrument.__struct_fields__)
    beyond = {"netting"}  # off by default
    assert set(GROUP_FIELDS) | beyond == set(m.Group.__struct_fields__)
    assert m.SecGroup.__struct_fields__ == names(
        """sec_index show trade execution comm_base comm_type comm_lots comm_agent comm_tax spread_diff
        lot_min lot_max lot_step ie_deviation confirmation trade_rights ie_quick_mode autocloseout_mode
        freemargin_mode"""
    )
    assert m.SecMargin.__struct_fields__ == names(
        "symbol swap_enable swap_long swap_short margin_divider spread_enable spread spread_balance"
    )
    assert SECURITY_GROUPS == ("Forex", "Metals", "Crypto", "Indices", "Stocks")


def test_defaults_are_those_that_were_decided() -> None:
    assert (EURUSD.digits, EURUSD.contract_size, EURUSD.profit_mode, EURUSD.margin_mode) == (5, 100_000, 0, 0)
    assert (EURUSD.margin_divider, EURUSD.margin_hedged, EURUSD.stops_level, EURUSD.freeze_level) == (
        1,
        50_000,
        0,
        0,
    )
    assert (EURUSD.spread, EURUSD.swap_enable, EURUSD.trade, EURUSD.exemode) == (0, 0, 2, 2)
    assert (EURUSD.lot_min, EURUSD.lot_max, EURUSD.lot_step, EURUSD.comm_base) == (1, 100_000, 1, 0)
    assert (EURUSD.quote_currency, EURUSD.margin_currency, EURUSD.tick_size, EURUSD.tick_value) == (
        "USD",
        "EUR",
        1e-5,
        1.0,
    )
    group = m.Group(group="g")
    assert (group.margin_call, group.margin_stopout, group.margin_type, group.margin_mode) == (100, 50, 0, 1)
    assert (group.hedge_prohibited, group.partial_close, group.close_fifo, group.maxpositions) == (0, 1, 0, 0)
    assert group.allow_sl_tp_slippage == 1


def test_a_quote_is_the_clients_frame() -> None:
    assert frame_of("EURUSD", 1.1, 1.10012, 1_700_000_000_123, 7) == (
        b'["t","EURUSD",1.1,1.10012,1700000000,1700000000123,7]'
    )


def test_candles_are_under_data_with_time_last_in_seconds() -> None:
    rows = views.candle_rows([Candle(60_000, 1.000004, 2.0, 0.5, 1.5, 3.0)], 5)
    assert msgspec.json.encode(m.CandleTable(views.CANDLE_COLUMNS, rows)) == (
        b'{"structure":["open","high","low","close","volume","time"],"data":[[1.0,2.0,0.5,1.5,3.0,60]]}'
    )


def test_the_plain_success() -> None:
    assert msgspec.json.encode(Done()) == b'{"data":"OK"}'


def test_watch_objects_have_their_fields() -> None:
    assert m.Watched.__struct_fields__ == names(
        "symbol sort_index color market_state market_reason price1d high low prices"
    )
    assert m.WatchedPrices.__struct_fields__ == names("symbol price1d high low prices")


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.SymbolNotFound, "RET_SYMBOL_NOT_FOUND", 404),
        (errors.SymbolNotAllowed, "SYMBOL_NOT_ALLOWED", 403),
        (errors.GroupNotFound, "GROUP_NOT_FOUND", 404),
        (errors.SecurityGroupNotFound, "RET_SEC_NOT_FOUND", 404),
        (errors.WatchedSymbolNotFound, "MARKET_WATCH_SYMBOL_NOT_FOUND", 404),
        (errors.WatchListFull, "INVALID_ADD_SYMBOL_TO_MARKET_WATCH", 500),
        (errors.QuoteOlder, "INVALID_DATA", 400),
    ],
)
def test_refusals_have_the_codes_of_the_contract(
    error: type[errors.AppError], code: str, status: int
) -> None:
    assert (error.code, error.http_status) == (code, status)


@pytest.mark.parametrize("new", ["1M", "5M", "15M", "30M", "1H", "4H", "1D", "1W", "MN1"])
def test_every_frame_of_the_contract_is_known(new: str) -> None:
    assert broker_timeframe(new) is not None
