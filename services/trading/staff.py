"""What staff do for a client: open, close and correct records at stated prices and amounts. Pure.

Opening passes the symbol's volume limits, stops on their side of the open price, and the margin check;
account flags, sessions, distances and group rules are the dealer's business. A correction keeps the
exact margin of a position unless its price or volume changes: a new price fixes it anew at the mid rate
of now, a new volume takes the unit times itself. The difference a correction of a closed record makes
to its net amount is posted.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common.errors import InvalidData
from services.trading import orders
from services.trading import refusals as no
from services.trading.closing import record_closed, share_of
from services.trading.commands import ChangeAccount, StaffClose, StaffOpen, StaffUpdate
from services.trading.conversion import Tick
from services.trading.draft import Draft
from services.trading.events import AccountChanged, PendingPlaced, TradeCorrected
from services.trading.finance import check_amount
from services.trading.instrument import Terms
from services.trading.margin import margin_of, unit_margin
from services.trading.opening import check_expiration, check_size, fill
from services.trading.position import (
    BUY,
    CLOSED_NORMAL,
    CLOSED_PART,
    FINANCE_CMDS,
    MARKET_CMDS,
    OPEN_NORMAL,
    PENDING_CMDS,
    Trade,
    noted,
    side_of,
    with_stops,
)
from services.trading.profit import rate_of, realised, valuation

LEVERAGE_MAX = 10_000
_MONEY = ("commission_minor", "storage_minor")
_OF_PENDING = ("open_points", "sl_points", "tp_points", "expiration_ms", "volume", "comment")
_OF_OPEN = ("open_points", "open_ms", "sl_points", "tp_points", "volume", "comment", *_MONEY)
_OF_CLOSED = (
    "open_points",
    "close_points",
    "open_ms",
    "close_ms",
    "volume",
    "profit_minor",
    "comment",
    *_MONEY,
)


def staff_open(draft: Draft, asked: StaffOpen) -> None:
    """Open a position or place a pending order for a client."""
    account, market = draft.account, draft.market
    if asked.cmd not in MARKET_CMDS and asked.cmd not in PENDING_CMDS:
        raise no.IncorrectCmd(f"cmd was {asked.cmd}")
    orders.check_numbers(asked.open_points, asked.sl_points, asked.tp_points)
    check_size(asked.volume)
    terms = market.terms.get(asked.symbol)
    if terms is None:
        raise no.SymbolUnknown(f"symbol was {asked.symbol!r}")
    orders.check_volume(terms, asked.volume)
    price = asked.open_points or _price_now(draft, terms, asked.cmd)
    _check_sides(asked.cmd, price, asked.sl_points, asked.tp_points)
    trade = Trade(
        order=draft.take_order(),
        login=account.login,
        symbol=asked.symbol,
        digits=terms.digits,
        cmd=asked.cmd,
        volume=asked.volume,
        open_ms=draft.now_ms if asked.open_ms is None else asked.open_ms,
        open_points=price,
        sl_points=asked.sl_points,
        tp_points=asked.tp_points,
        reason=asked.reason,
        comment=asked.comment,
    )
    if asked.cmd in MARKET_CMDS:
        trade = msgspec.structs.replace(trade, storage_minor=asked.storage_minor)
        fill(draft, trade, terms, commission_minor=asked.commission_minor)
        return
    check_expiration(asked.expiration_ms, draft.now_ms)
    trade = msgspec.structs.replace(trade, expiration_ms=asked.expiration_ms)
    draft.record(PendingPlaced(login=account.login, at_ms=draft.now_ms, trade=trade))


def staff_close(draft: Draft, asked: StaffClose) -> None:
    """Close a client's position, or a part of it, at a stated price and amounts if given."""
    trade = orders.position_for(draft.account, asked.order)
    orders.check_numbers(asked.close_points)
    volume = trade.volume if asked.volume is None else asked.volume
    check_size(volume)
    if volume > trade.volume:
        raise no.BadVolume(f"volume was {volume}, the position has {trade.volume}")
    closed_ms = draft.now_ms if asked.close_ms is None else asked.close_ms
    if closed_ms < trade.open_ms:
        raise no.BadCloseTime
    terms = draft.market.terms.get(trade.symbol)
    if terms is None:
        raise no.SymbolUnknown(f"symbol was {trade.symbol!r}")
    price = asked.close_points or _price_now(draft, terms, 1 - trade.cmd)
    part = trade if volume == trade.volume else share_of(trade, volume)
    profit = _profit(draft, terms, part, price) if asked.profit_minor is None else asked.profit_minor
    rate = rate_of(draft.market, terms, draft.account.currency, profit)
    closed = msgspec.structs.replace(
        part,
        state=CLOSED_NORMAL if part is trade else CLOSED_PART,
        close_ms=closed_ms,
        close_points=price,
        profit_minor=profit,
        rate_num=rate[0],
        rate_den=rate[1],
        comment=noted(part.comment, asked.comment),
        **_given(asked, *_MONEY),
    )
    record_closed(draft, trade, closed)


def staff_update(draft: Draft, asked: StaffUpdate) -> None:
    """Correct the record of an open, pending, closed or finance order."""
    orders.check_numbers(asked.open_points, asked.close_points, asked.sl_points, asked.tp_points)
    if asked.volume is not None:
        check_size(asked.volume)
    before = draft.account.position(asked.order) or draft.account.pendings.get(asked.order) or asked.before
    if before is None:
        raise no.OrderNotFound(f"order was {asked.order}")
    if before.state != OPEN_NORMAL:
        after = _corrected_closed(before, asked)
    elif before.is_pending:
        after = msgspec.structs.replace(before, **_given(asked, *_OF_PENDING))
    else:
        after = _corrected_open(draft, before, asked)
    draft.record(TradeCorrected(login=draft.account.login, at_ms=draft.now_ms, before=before, trade=after))


def change_account(draft: Draft, asked: ChangeAccount) -> None:
    """Change what an account may do."""
    account = draft.account
    leverage = account.leverage if asked.leverage is None else asked.leverage
    if not 1 <= leverage <= LEVERAGE_MAX:
        raise InvalidData(f"leverage was {leverage}")
    draft.record(
        AccountChanged(
            login=account.login,
            at_ms=draft.now_ms,
            group=account.group if asked.group is None else asked.group,
            leverage=leverage,
            enabled=account.enabled if asked.enabled is None else asked.enabled,
            read_only=account.read_only if asked.read_only is None else asked.read_only,
        )
    )


def _corrected_closed(before: Trade, asked: StaffUpdate) -> Trade:
    after = msgspec.structs.replace(before, **_given(asked, *_OF_CLOSED))
    if before.cmd in FINANCE_CMDS:
        check_amount(before.cmd, after.profit_minor)
    elif after.close_ms < after.open_ms:
        raise no.BadCloseTime
    return after


def _corrected_open(draft: Draft, before: Trade, asked: StaffUpdate) -> Trade:
    after = msgspec.structs.replace(before, **_given(asked, *_OF_OPEN))
    unit = before.margin_num, before.margin_den
    if after.open_points != before.open_points:
        account, terms = draft.account, draft.market.terms.get(before.symbol)
        fresh = (
            unit_margin(draft.market, terms, after.open_points, account.leverage, account.currency)
            if terms is not None
            else None
        )
        if fresh is None:
            raise no.OffQuotes
        unit = fresh
    after = with_stops(after, after.sl_points, after.tp_points)
    return msgspec.structs.replace(
        after, margin_minor=margin_of(unit, after.volume), margin_num=unit[0], margin_den=unit[1]
    )


def _given(asked: StaffClose | StaffUpdate, *names: str) -> dict[str, Any]:
    """What was said of ``names``."""
    return {name: value for name in names if (value := getattr(asked, name)) is not None}


def _price_now(draft: Draft, terms: Terms, cmd: int) -> int:
    """The price at which ``cmd`` opens now."""
    tick = draft.market.quotes.get(terms.symbol)
    if tick is None or tick.bid <= 0:
        raise no.OffQuotes
    return orders.opening_price(cmd, tick)


def _profit(draft: Draft, terms: Terms, part: Trade, price: int) -> int:
    worth = valuation(draft.market, terms, Tick(price, price), draft.account.currency)
    if worth is None:
        raise no.OffQuotes
    return realised(part, price, part.volume, worth)


def _check_sides(cmd: int, price: int, sl: int, tp: int) -> None:
    up, down = (tp, sl) if side_of(cmd) == BUY else (sl, tp)
    if (up and up <= price) or (down and down >= price):
        raise no.InvalidStops
