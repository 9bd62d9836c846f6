"""The market as clients read it: symbol objects, the short list, the watch list, performance. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from libs.common.candles import DAY_MS, Candle
from libs.common.messages.market import Asset, AssetInfo, Instrument, Watched, WatchedPrices
from libs.common.sessions import MarketState
from services.market.rounding import rounded
from services.market.sessions import shown

SHORT_COLUMNS = (
    "symbol",
    "description",
    "currency",
    "margin_currency",
    "quote_currency",
    "group",
    "digits",
    "trade",
    "spread",
    "spread_balance",
    "swap_enable",
    "margin_divider",
    "margin_mode",
    "stops_level",
    "contract_size",
    "long_only",
    "ask",
    "bid",
    "point",
    "tick_value",
    "tick_size",
    "market_state",
    "market_reason",
    "lot_min",
    "lot_max",
    "lot_step",
    "comm_base",
    "comm_type",
    "exchange",
    "category",
    "industry",
    "sector",
    "shareholders",
    "market_cap",
    "price1d",
    "icon",
)
CANDLE_COLUMNS = ("open", "high", "low", "close", "volume", "time")
WATCH_HOURS = 24
PERFORMANCE_DAYS = {"1W": 7, "1M": 30, "3M": 91, "6M": 182, "YTD": 0, "1Y": 365}

_COMPUTED = {"bid", "ask", "market_state", "market_reason", "sessions"}
_COPIED = tuple(name for name in Asset.__struct_fields__ if name not in _COMPUTED)


def asset(instrument: Instrument, prices: tuple[float, float], state: MarketState) -> Asset:
    """A symbol object without analytics."""
    return Asset(**_values(instrument, prices, state))  # type: ignore[arg-type]


def asset_info(
    instrument: Instrument,
    prices: tuple[float, float],
    state: MarketState,
    days: Sequence[Candle],
    months: Sequence[Candle],
) -> AssetInfo:
    """A symbol object with its analytics from daily and monthly candles, oldest first."""
    return AssetInfo(
        **_values(instrument, prices, state),  # type: ignore[arg-type]
        ratings={},
        performance=performance(days, prices[0]),
        seasons=seasons(months),
    )


def _values(instrument: Instrument, prices: tuple[float, float], state: MarketState) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(instrument, name) for name in _COPIED}
    bid, ask = prices
    values |= {"bid": bid, "ask": ask, "market_state": state.state, "market_reason": state.reason}
    values["sessions"] = shown(instrument.sessions)
    return values


def short_row(
    instrument: Instrument, prices: tuple[float, float], state: MarketState, price1d: float
) -> list[object]:
    """A row of the short list, in the order of ``SHORT_COLUMNS``."""
    computed = {
        "bid": prices[0],
        "ask": prices[1],
        "market_state": state.state,
        "market_reason": state.reason,
        "price1d": price1d,
    }
    return [computed[name] if name in computed else getattr(instrument, name) for name in SHORT_COLUMNS]


def percent(now: float, then: float) -> float:
    """The change from ``then`` to ``now`` in percent, two decimals."""
    return round((now / then - 1) * 100, 2)


def change_1d(days: Sequence[Candle], hours: Sequence[Candle], bid: float) -> float:
    """The change of a day in percent, 0 when nothing is known. Candles oldest first.

    Against the close of the day before; without one, against the close 24 hours before the latest
    hour; without that, against the first open that is known.
    """
    if not days and not hours:
        return 0.0
    now = bid or (days[-1].close if days else hours[-1].close)
    if len(days) > 1:
        return percent(now, days[-2].close)
    earlier = [c for c in hours if c.open_ms <= hours[-1].open_ms - DAY_MS]
    if earlier:
        return percent(now, earlier[-1].close)
    first = hours[0] if hours else days[0]
    return percent(now, first.open)


def watched_prices(symbol: str, days: Sequence[Candle], hours: Sequence[Candle], bid: float) -> WatchedPrices:
    """The prices of a watched symbol; high and low are those of the latest hour, 0 without one."""
    shown_hours = hours[-WATCH_HOURS:]
    return WatchedPrices(
        symbol=symbol,
        price1d=change_1d(days, hours, bid),
        high=shown_hours[-1].high if shown_hours else 0.0,
        low=shown_hours[-1].low if shown_hours else 0.0,
        prices=[candle.close for candle in shown_hours],
    )


def watched(prices: WatchedPrices, sort_index: int, color: str, state: MarketState) -> Watched:
    """A line of the market watch."""
    return Watched(
        symbol=prices.symbol,
        sort_index=sort_index,
        color=color,
        market_state=state.state,
        market_reason=state.reason,
        price1d=prices.price1d,
        high=prices.high,
        low=prices.low,
        prices=prices.prices,
    )


def performance(days: Sequence[Candle], bid: float) -> dict[str, float | None]:
    """Change in percent over each period, None where the daily candles do not reach back.

    The base is the close of the last day that opened at least the period before the latest one; of
    the year to date the last day of the year before.
    """
    result: dict[str, float | None] = dict.fromkeys(PERFORMANCE_DAYS)
    if not days:
        return result
    now = bid or days[-1].close
    latest = datetime.fromtimestamp(days[-1].open_ms / 1000, UTC)
    for name, span in PERFORMANCE_DAYS.items():
        base = latest - timedelta(days=span)
        if not span:
            base = datetime(latest.year, 1, 1, tzinfo=UTC) - timedelta(days=1)
        base_ms = round(base.timestamp() * 1000)
        earlier = [c for c in days if c.open_ms <= base_ms]
        result[name] = percent(now, earlier[-1].close) if earlier else None
    return result


def seasons(months: Sequence[Candle]) -> list[list[float | None]]:
    """A row of twelve monthly changes in percent for every year, oldest first."""
    if not months:
        return []
    at = [datetime.fromtimestamp(c.open_ms / 1000, UTC) for c in months]
    rows: dict[int, list[float | None]] = {year: [None] * 12 for year in range(at[0].year, at[-1].year + 1)}
    for before, candle, moment in zip([None, *months[:-1]], months, at, strict=True):
        base = before.close if before is not None else candle.open
        rows[moment.year][moment.month - 1] = percent(candle.close, base)
    return list(rows.values())


def candle_rows(candles: Sequence[Candle], digits: int) -> list[list[float]]:
    """Candles as the contract prints them: rounded to the symbol's digits, time last, in seconds."""
    return [
        [*(rounded(price, digits) for price in candle[1:5]), candle.volume, candle.open_ms // 1000]
        for candle in candles
    ]
