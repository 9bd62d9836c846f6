"""Messages owned by market. Major 1 of each. Field names are those of the broker contract 6 and 9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec


class Quote(msgspec.Struct, array_like=True, frozen=True):
    """Top of book changed. The JSON is the client's ``t`` frame.

    ``bid`` and ``ask`` are rounded to the symbol's digits; ``ctm`` is exchange time in Unix seconds,
    ``ctm_ms`` the same in milliseconds; ``seq`` is gap-free per symbol.
    """

    tag: Literal["t"]
    symbol: str
    bid: float
    ask: float
    ctm: int
    ctm_ms: int = 0
    seq: int = 0


class SessionSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span of a day in UTC, from open to close."""

    open_hour: int = 0
    open_min: int = 0
    close_hour: int = 0
    close_min: int = 0


class SessionDay(msgspec.Struct, frozen=True, kw_only=True):
    """The trading spans of one weekday; index 0 of ``Instrument.sessions`` is Sunday."""

    trade_overnight: int = 0
    trade: tuple[SessionSpan, ...] = ()


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A tradable symbol with its effective defaults (broker 9.2). ``sessions`` None is always open."""

    symbol: str
    description: str = ""
    source: str = ""
    currency: str = ""
    quote_currency: str = ""
    margin_currency: str = ""
    sec_index: int = 0
    group: str = ""
    digits: int = 5
    trade: int = 2
    sort_index: int = 0
    background_color: str = ""
    sessions: tuple[SessionDay, ...] | None = None
    profit_mode: int = 0
    exemode: int = 2
    spread: int = 0
    spread_balance: int = 0
    swap_enable: int = 0
    swap_type: int = 0
    swap_long: float = 0.0
    swap_short: float = 0.0
    swap_rollover3days: int = 3
    swap_daily: int = 0
    contract_size: float = 100_000.0
    tick_value: float = 0.0
    tick_size: float = 0.0
    point: float = 0.0
    stops_level: int = 0
    freeze_level: int = 0
    gtc_pendings: int = 1
    margin_mode: int = 0
    margin_initial: float = 0.0
    margin_maintenance: float = 0.0
    margin_hedged: float = 0.0
    margin_hedged_strong: int = 0
    margin_divider: float = 1.0
    long_only: int = 0
    instant_max_volume: int = 0
    max_volume: int = 0
    realtime: int = 1
    starting: int = 0
    expiration: int = 0
    value_date: int = 0
    quotes_delay: int = 60
    lot_min: int = 1
    lot_max: int = 100_000
    lot_step: int = 1
    comm_base: float = 0.0
    comm_type: int = 0
    comm_lots: int = 0
    comm_agent: float = 0.0
    exchange: str = ""
    category: str = ""
    industry: str = ""
    sector: str = ""
    shareholders: str = ""
    market_cap: float = 0.0
    icon: str = ""


class SecGroup(msgspec.Struct, frozen=True, kw_only=True):
    """How a group treats one security group (broker 9.3); None keeps the symbol's own value."""

    sec_index: int
    show: int = 1
    trade: int = 1
    execution: int = 1
    comm_base: float | None = None
    comm_type: int | None = None
    comm_lots: int | None = None
    comm_agent: float | None = None
    comm_tax: float | None = None
    spread_diff: int = 0
    lot_min: int | None = None
    lot_max: int | None = None
    lot_step: int | None = None
    ie_deviation: int = 0
    confirmation: int = 0
    trade_rights: int = 0
    ie_quick_mode: int = 0
    autocloseout_mode: int = 0
    freemargin_mode: int = 0


class SecMargin(msgspec.Struct, frozen=True, kw_only=True):
    """How a group treats one symbol (broker 9.3); None keeps the symbol's own value."""

    symbol: str
    swap_enable: int | None = None
    swap_long: float | None = None
    swap_short: float | None = None
    margin_divider: float | None = None
    spread_enable: int = 0
    spread: int | None = None
    spread_balance: int | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group of trading accounts (broker 9.3)."""

    group: str
    company: str = ""
    currency: str = "USD"
    enable: int = 1
    default_leverage: int = 100
    default_deposit: float = 0.0
    credit: float = 0.0
    margin_call: float = 100.0
    margin_stopout: float = 50.0
    margin_mode: int = 1
    margin_type: int = 0
    interestrate: float = 0.0
    use_swap: int = 1
    rights: int = 0
    maxpositions: int = 0
    close_reopen: int = 0
    hedge_prohibited: int = 0
    hedge_largeleg: int = 0
    partial_close: int = 1
    close_fifo: int = 0
    allow_sl_tp_slippage: int = 1
    allow_negative_margin_hedge: int = 0
    stopout_skip_hedged: int = 0
    archive_period: int = 0
    archive_pending_period: int = 0
    news: int = 0
    otp_mode: int = 0
    credit_withdrawal_policy: int = 0
    withdrawal_margin_reserve: float = 0.0
    bonus_usage_policy: int = 0
    deposit_reversal_policy: int = 0
    secgroups: tuple[SecGroup, ...] = ()
    secmargins: tuple[SecMargin, ...] = ()
    netting: int = 0  # beyond the contract: an order closes what is open against it first


class InstrumentChanged(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument was made or changed."""

    event_id: str
    instrument: Instrument


class GroupChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A group was made or changed."""

    event_id: str
    group: Group


class SymbolPut(msgspec.Struct, frozen=True, kw_only=True):
    """Make or change an instrument; ``fields`` merge into what is there, unknown ones are refused."""

    symbol: str
    fields: dict[str, Any]


class SymbolList(msgspec.Struct, frozen=True):
    """Every instrument."""


class Instruments(msgspec.Struct, frozen=True):
    """``{"symbols":[…]}``."""

    symbols: Sequence[Instrument]


class GroupPut(msgspec.Struct, frozen=True, kw_only=True):
    """Make or change a group; lists merge by their key (``sec_index``, ``symbol``)."""

    group: str
    fields: dict[str, Any]


class GroupList(msgspec.Struct, frozen=True):
    """Every group."""


class Groups(msgspec.Struct, frozen=True):
    """``{"groups":[…]}``."""

    groups: Sequence[Group]


class GroupGet(msgspec.Struct, frozen=True, kw_only=True):
    """One group; GROUP_NOT_FOUND when there is none."""

    group: str


class GroupViewAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Which symbols a group sees, and at which price profile."""

    group: str


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """``profiles``: canonical symbol → price profile; hidden symbols are absent."""

    group: str
    profiles: dict[str, str]


class AssetsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The market as one account's group sees it."""

    login: int
    group: str


class SymbolAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as one account's group sees it."""

    login: int
    group: str
    symbol: str


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol as one group sees it (6.3 without analytics); ``bid`` and ``ask`` 0 without a quote."""

    symbol: str
    description: str
    currency: str
    margin_currency: str
    quote_currency: str
    group: str
    digits: int
    trade: int
    profit_mode: int
    exemode: int
    spread: int
    spread_balance: int
    swap_enable: int
    swap_type: int
    swap_long: float
    swap_short: float
    swap_rollover3days: int
    stops_level: int
    freeze_level: int
    gtc_pendings: int
    margin_mode: int
    margin_initial: float
    margin_maintenance: float
    margin_hedged: float
    margin_divider: float
    contract_size: float
    long_only: int
    instant_max_volume: int
    max_volume: int
    ask: float
    bid: float
    point: float
    tick_value: float
    tick_size: float
    market_state: int
    market_reason: int
    lot_min: int
    lot_max: int
    lot_step: int
    comm_base: float
    comm_type: int
    comm_lots: int
    comm_agent: float
    exchange: str
    category: str
    industry: str
    sector: str
    market_cap: float
    sessions: tuple[SessionDay, ...]


class AssetInfo(Asset, frozen=True, kw_only=True):
    """``/market/symbol``: the flat object of 6.3.

    ``performance`` and ``seasons`` are in percent, None where the candles do not reach; ``seasons`` has
    a row a year, oldest first, of twelve months. ``ratings`` is empty: nobody rates symbols here.
    """

    ratings: dict[str, float]
    performance: dict[str, float | None]
    seasons: Sequence[Sequence[float | None]]


class Assets(msgspec.Struct, frozen=True):
    """``/market``: full symbol objects keyed by symbol, and the names of the security groups."""

    assets: dict[str, Asset]
    groups: Sequence[str]


class ShortTable(msgspec.Struct, frozen=True):
    """The 36 columns of 6.2."""

    structure: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class ShortList(msgspec.Struct, frozen=True):
    """``/market/short/list``."""

    assets: ShortTable
    groups: Sequence[str]


class CandlesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Candles of ``symbol`` with open time in [from_s, to_s]; ``frame`` in either notation."""

    symbol: str
    frame: str
    from_s: int
    to_s: int


class CandleTable(msgspec.Struct, frozen=True):
    """``{"structure":["open","high","low","close","volume","time"],"data":[[…],…]}``."""

    structure: tuple[str, ...]
    data: Sequence[Sequence[float]]


class CandlesBulk(msgspec.Struct, frozen=True, kw_only=True):
    """The newest ``limit`` closed bars of each place (symbol, timeframe, from_ms, to_ms), both ends in it.

    The reply is no JSON: see ``libs.common.bulk``. It serves the places in order until it is full; ask
    again for those it left out.
    """

    places: Sequence[tuple[str, str, int, int]]
    limit: int = 1_000


class FormingAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The bar of ``symbol`` and ``timeframe`` that ticks are making."""

    symbol: str
    timeframe: str


class Forming(msgspec.Struct, frozen=True, kw_only=True):
    """``bar`` is (open_ms, open, high, low, close, volume), None when no bar is being made.

    ``run`` and ``seq`` are those of the last ``BarsClosed``: who has heard it holds every closed bar.
    """

    symbol: str
    bar: tuple[int, float, float, float, float, float] | None = None
    run: str = ""
    seq: int = 0


class BarsClosed(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in the stored bars, told after the commit, about once a second also when nothing did.

    ``run`` is one life of market and ``seq`` is gap-free in it: a reader that sees another run or a
    hole asks for what it missed with ``CandlesBulk``. ``bars`` are closed bars (symbol, timeframe,
    open_ms, open, high, low, close, volume), oldest first in each place; ``loaded`` are ranges
    (symbol, timeframe, from_ms, to_ms) that were written from outside and must be asked for.
    """

    run: str
    seq: int
    bars: Sequence[tuple[str, str, int, float, float, float, float, float]] = ()
    loaded: Sequence[tuple[str, str, int, int]] = ()


class CandlesPut(msgspec.Struct, frozen=True, kw_only=True):
    """Upsert candles ``[time_ms,o,h,l,c,v]``; ``source`` says where they came from."""

    symbol: str
    timeframe: str
    candles: Sequence[tuple[int, float, float, float, float, float]]
    source: str = "manual"


class QuoteIn(msgspec.Struct, frozen=True, kw_only=True):
    """One quote from outside; ``time`` in Unix ms (below 10^11: seconds), None = now."""

    symbol: str
    bid: float
    ask: float
    time: int | None = None


class QuotesPut(msgspec.Struct, frozen=True, kw_only=True):
    """Apply quotes in order, all or nothing; answers after every one was published."""

    quotes: Sequence[QuoteIn]


class SnapshotAsk(msgspec.Struct, frozen=True):
    """The last quote of every symbol and profile."""


class Snapshot(msgspec.Struct, frozen=True):
    """``frames``: (profile, the frame's JSON)."""

    frames: Sequence[tuple[str, msgspec.Raw]]


class TicksSince(msgspec.Struct, frozen=True, kw_only=True):
    """The frames of ``symbol`` in ``profile`` whose seq is above ``after_seq``, oldest first."""

    symbol: str
    profile: str
    after_seq: int
    limit: int = 10_000


class Ticks(msgspec.Struct, frozen=True, kw_only=True):
    """``frames`` are in seq order; ``first_seq`` is the oldest the ring still holds, 0 when empty."""

    frames: Sequence[msgspec.Raw]
    first_seq: int
    last_seq: int


class WatchAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The market watch of one account."""

    login: int
    group: str


class WatchedPrices(msgspec.Struct, frozen=True, kw_only=True):
    """The day of a symbol: change in percent, the latest hour's range, the closes of 24 hours."""

    symbol: str
    price1d: float
    high: float
    low: float
    prices: Sequence[float]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the market watch (6.4)."""

    symbol: str
    sort_index: int
    color: str
    market_state: int
    market_reason: int
    price1d: float
    high: float
    low: float
    prices: Sequence[float]


class WatchList(msgspec.Struct, frozen=True):
    """``{"assets":{symbol:{…}}}`` (6.4)."""

    assets: dict[str, Watched]


class WatchAdd(msgspec.Struct, frozen=True, kw_only=True):
    """Put a symbol on the watch list; twice is fine."""

    login: int
    group: str
    symbol: str


WatchAdded = dict[str, WatchedPrices]


class WatchUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Change place or colour of a watched symbol."""

    login: int
    group: str
    symbol: str
    sort_index: int | None = None
    color: str | None = None


class WatchRemove(msgspec.Struct, frozen=True, kw_only=True):
    """Take a symbol off the watch list; absent is fine."""

    login: int
    symbol: str
