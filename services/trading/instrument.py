"""What a symbol and a group mean for trading: effective values, as exact ratios. Pure.

A group's secgroups and secmargins stand above the symbol's own values; None keeps the symbol's. A
security group that is not listed is active; one with ``show`` 0 or ``trade`` 0 is not. Settings are
read as their shortest decimals (``exact.py``), so the coefficients below are exact: value per point
and volume unit, margin per volume unit before leverage and price, commission, swap per volume unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from fractions import Fraction
from typing import TypeVar

import msgspec

from libs.common.messages.market import Group, Instrument, SecGroup, SecMargin, SessionDay
from services.trading.conversion import Conversion, Quotes, Tick
from services.trading.exact import VOLUME_PER_LOT, Ratio, exact, ratio

T = TypeVar("T")

TRADE_NONE, TRADE_CLOSE_ONLY, TRADE_FULL = 0, 1, 2
EXECUTION_MARKET = 2
GTC_DAILY, GTC, GTC_DAILY_KEEP_STOPS = 0, 1, 2
PRICE_NONE, PRICE_OPEN, PRICE_CURRENT = 0, 1, 2
_DENY_CLOSE_BY = 1
_RIGHT_TRAILING = 2
_RIGHT_EXPIRATION = 8
_DAYS_OF_YEAR = 360
_PERCENT = 100


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as one group trades it. Ratios are exact; levels and distances are points."""

    symbol: str
    digits: int
    active: bool
    trade: int
    sessions: tuple[SessionDay, ...] | None
    quotes_delay_ms: int
    at_market: bool
    instant_max_volume: int
    deviation: int
    stops_level: int
    freeze_level: int
    lot_min: int
    lot_max: int
    lot_step: int
    max_volume: int
    long_only: bool
    gtc: int
    close_by_denied: bool
    quote_currency: str
    point_value: Ratio  # one point on one volume unit, in the quote currency
    margin: Ratio  # one volume unit, before price and leverage, in ``margin_currency``
    margin_currency: str
    margin_priced: bool  # times the open price in points
    margin_levered: bool  # divided by the account's leverage
    hedged: Ratio  # margin_hedged / contract_size
    hedged_strong: bool
    commission: Ratio  # positive: the client pays
    commission_currency: str
    commission_per_deal: bool  # not times the volume
    commission_priced: bool  # times the open price in points
    swap_long: Ratio  # one volume unit and day; positive: the client receives
    swap_short: Ratio
    swap_currency: str
    swap_price: int  # times no price, the open or the current price in points
    swap_rollover3days: int
    swap_daily: bool


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a group says of its accounts."""

    group: str
    enabled: bool
    margin_call: Ratio
    margin_stopout: Ratio
    margin_type: int
    margin_mode: int
    maxpositions: int
    hedge_prohibited: bool
    hedge_largeleg: bool
    partial_close: bool
    close_fifo: bool
    slippage: bool
    negative_margin_hedge: bool
    stopout_skip_hedged: bool
    expiration_allowed: bool
    trailing_allowed: bool
    netting: bool


class Market:
    """What an account of one group sees: its rules, the terms of every symbol, and live quotes.

    ``quotes`` is read at each call and may change in between; ``live`` says that quotes age, ``halted``
    that the house's kill switch is pulled.
    """

    __slots__ = ("conversion", "halted", "live", "quotes", "rules", "terms")

    def __init__(
        self, rules: Rules, terms: Iterable[Terms], quotes: Quotes, *, live: bool, halted: bool = False
    ) -> None:
        self.rules = rules
        self.terms = {of.symbol: of for of in terms}
        self.quotes = quotes
        self.live = live
        self.halted = halted
        self.conversion = Conversion((of.symbol, of.digits) for of in self.terms.values())

    def at(self, symbol: str, tick: Tick) -> Market:
        """The same market as if ``symbol`` were quoted at ``tick``."""
        moved = copy(self)
        moved.quotes = {**self.quotes, symbol: tick}
        return moved


def rules_of(group: Group) -> Rules:
    """The rules of a group. Rights of 0 deny nothing; else bit 8 allows an expiration, bit 2 trailing."""
    return Rules(
        group=group.group,
        enabled=bool(group.enable),
        margin_call=ratio(exact(group.margin_call)),
        margin_stopout=ratio(exact(group.margin_stopout)),
        margin_type=group.margin_type,
        margin_mode=group.margin_mode,
        maxpositions=group.maxpositions,
        hedge_prohibited=bool(group.hedge_prohibited),
        hedge_largeleg=bool(group.hedge_largeleg),
        partial_close=bool(group.partial_close),
        close_fifo=bool(group.close_fifo),
        slippage=bool(group.allow_sl_tp_slippage),
        negative_margin_hedge=bool(group.allow_negative_margin_hedge),
        stopout_skip_hedged=bool(group.stopout_skip_hedged),
        expiration_allowed=group.rights == 0 or bool(group.rights & _RIGHT_EXPIRATION),
        trailing_allowed=group.rights == 0 or bool(group.rights & _RIGHT_TRAILING),
        netting=bool(group.netting),
    )


def terms_of(group: Group, instrument: Instrument) -> Terms:
    """The effective terms of ``instrument`` for ``group``."""
    security = next((s for s in group.secgroups if s.sec_index == instrument.sec_index), None)
    own = next((m for m in group.secmargins if m.symbol == instrument.symbol), None)
    point = Fraction(1, 10**instrument.digits)
    size = exact(instrument.contract_size) / VOLUME_PER_LOT
    divider = exact(_over(own, "margin_divider", instrument.margin_divider))
    point_value = _point_value(instrument, point, size)
    margin, margin_currency = _margin(instrument, point, size, divider)
    long, short, swap_currency, swap_price = _swap(group, own, instrument, point, size)
    cost, cost_currency, per_deal, priced = _commission(security, instrument, point, size, point_value)
    return Terms(
        symbol=instrument.symbol,
        digits=instrument.digits,
        active=security is None or bool(security.show and security.trade),
        trade=instrument.trade,
        sessions=instrument.sessions,
        quotes_delay_ms=instrument.quotes_delay * 1000,
        at_market=instrument.exemode == EXECUTION_MARKET,
        instant_max_volume=instrument.instant_max_volume,
        deviation=security.ie_deviation if security is not None else 0,
        stops_level=instrument.stops_level,
        freeze_level=instrument.freeze_level,
        lot_min=_over(security, "lot_min", instrument.lot_min),
        lot_max=_over(security, "lot_max", instrument.lot_max),
        lot_step=_over(security, "lot_step", instrument.lot_step),
        max_volume=instrument.max_volume,
        long_only=bool(instrument.long_only),
        gtc=instrument.gtc_pendings,
        close_by_denied=security is not None and security.trade_rights == _DENY_CLOSE_BY,
        quote_currency=instrument.quote_currency,
        point_value=ratio(point_value),
        margin=ratio(margin),
        margin_currency=margin_currency,
        margin_priced=instrument.margin_mode in (1, 3, 4),
        margin_levered=instrument.margin_mode in (0, 4),
        hedged=ratio(exact(instrument.margin_hedged) / exact(instrument.contract_size)),
        hedged_strong=bool(instrument.margin_hedged_strong),
        commission=ratio(cost),
        commission_currency=cost_currency,
        commission_per_deal=per_deal,
        commission_priced=priced,
        swap_long=ratio(long),
        swap_short=ratio(short),
        swap_currency=swap_currency,
        swap_price=swap_price,
        swap_rollover3days=instrument.swap_rollover3days,
        swap_daily=bool(instrument.swap_daily),
    )


def _over(said: SecGroup | SecMargin | None, name: str, own: T) -> T:
    value: T | None = getattr(said, name) if said is not None else None
    return own if value is None else value


def _tick_worth(instrument: Instrument, point: Fraction) -> Fraction:
    """tick_value / tick_size per point; a symbol without them has a tick of one point."""
    tick_size = exact(instrument.tick_size) or point
    return exact(instrument.tick_value) / tick_size * point


def _point_value(instrument: Instrument, point: Fraction, size: Fraction) -> Fraction:
    """Profit by profit_mode (broker 9.4): 0, 1 contract size; 2 tick value per tick size."""
    if instrument.profit_mode == 2:
        return _tick_worth(instrument, point) / VOLUME_PER_LOT
    return size * point


def _margin(
    instrument: Instrument, point: Fraction, size: Fraction, divider: Fraction
) -> tuple[Fraction, str]:
    """Margin by margin_mode (broker 9.4), before price and leverage, and its currency."""
    match instrument.margin_mode:
        case 0:
            return size / divider, instrument.margin_currency
        case 2:
            initial = exact(instrument.margin_initial) / VOLUME_PER_LOT
            return initial / divider, instrument.margin_currency
        case 3:
            return size * _tick_worth(instrument, point) / divider, instrument.quote_currency
        case _:
            return size * point / divider, instrument.quote_currency


def _commission(
    security: SecGroup | None, instrument: Instrument, point: Fraction, size: Fraction, point_value: Fraction
) -> tuple[Fraction, str, bool, bool]:
    """The coefficient, its currency, whether it is per deal, whether it is times the price."""
    base = exact(_over(security, "comm_base", instrument.comm_base))
    per_deal = _over(security, "comm_lots", instrument.comm_lots) == 1
    match _over(security, "comm_type", instrument.comm_type):
        case 1:
            per_lot = base * point_value * VOLUME_PER_LOT
            return (
                per_lot if per_deal else per_lot / VOLUME_PER_LOT,
                instrument.quote_currency,
                per_deal,
                False,
            )
        case 2:
            return base / _PERCENT * size * point, instrument.quote_currency, False, True
        case _:
            return (base if per_deal else base / VOLUME_PER_LOT), "", per_deal, False


def _swap(
    group: Group, own: SecMargin | None, instrument: Instrument, point: Fraction, size: Fraction
) -> tuple[Fraction, Fraction, str, int]:
    """Long and short swap of a volume unit and day, their currency and the price they are times of."""
    on = group.use_swap and _over(own, "swap_enable", instrument.swap_enable)
    interest = size / _PERCENT / _DAYS_OF_YEAR
    match instrument.swap_type if on else -1:
        case 0:
            unit, currency, price = size * point, instrument.quote_currency, PRICE_NONE
        case 1:
            unit, currency, price = Fraction(1, VOLUME_PER_LOT), "", PRICE_NONE
        case 2:
            unit, currency, price = interest, instrument.margin_currency, PRICE_NONE
        case 3:
            unit, currency, price = Fraction(1, VOLUME_PER_LOT), instrument.margin_currency, PRICE_NONE
        case 4:
            unit, currency, price = interest * point, instrument.quote_currency, PRICE_OPEN
        case 5:
            unit, currency, price = interest * point, instrument.quote_currency, PRICE_CURRENT
        case _:
            unit, currency, price = Fraction(0), "", PRICE_NONE
    long = exact(_over(own, "swap_long", instrument.swap_long))
    short = exact(_over(own, "swap_short", instrument.swap_short))
    return unit * long, unit * short, currency, price
