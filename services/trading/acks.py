"""What a client is answered when its command was accepted: acks and batches (broker 1.1, 5). Pure.

An ack shows the state of the request, though what it asked for is committed when it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from libs.common.errors import InvariantBroken
from libs.common.messages import trading_orders as m
from libs.common.money import from_minor, from_points
from services.trading import events as e
from services.trading.draft import Outcome
from services.trading.position import ACTIVATION_STOPOUT, MARKET_CMDS, Trade

OPEN_REQUEST, CLOSE_REQUEST, CANCEL_REQUEST, FINANCE_REQUEST = 1, 7, 9, 10
OPEN_UPDATE_REQUEST, CLOSED_UPDATE_REQUEST, PENDING_UPDATE_REQUEST = 14, 15, 16
FINANCE_UPDATE_REQUEST = 11
_OPENED = (e.TradeOpened, e.PendingPlaced, e.OrderRejected)
_CLOSED = (e.TradeClosed, e.TradePartlyClosed)


def opened(outcome: Outcome) -> Trade:
    """The order that a command opened or placed; of a netted one the order it worked on last."""
    own = [event.trade for event in outcome.events if isinstance(event, _OPENED)]
    return own[0] if own else _last(outcome)


def ack_of(trade: Trade, state: int, *, cmd: int | None = None, volume: int | None = None) -> m.TradeAck:
    """An ack about an order."""
    return m.TradeAck(
        order=trade.order,
        state=state,
        login=trade.login,
        symbol=trade.symbol,
        cmd=trade.cmd if cmd is None else cmd,
        volume=trade.volume if volume is None else volume,
    )


def close_ack(event: e.TradeClosed | e.TradePartlyClosed) -> m.CloseAck:
    """An ack about a close."""
    trade = event.trade
    return m.CloseAck(
        order=trade.order,
        state=CLOSE_REQUEST,
        login=trade.login,
        symbol=trade.symbol,
        cmd=trade.cmd,
        volume=event.remainder.volume if isinstance(event, e.TradePartlyClosed) else 0,
        close_volume=trade.volume,
    )


def closed(outcome: Outcome, order: int) -> m.CloseAck:
    """The ack of closing one order."""
    for event in closings(outcome):
        if event.trade.order == order:
            return close_ack(event)
    raise InvariantBroken(f"order {order} was closed")


def closings(outcome: Outcome) -> Iterator[e.TradeClosed | e.TradePartlyClosed]:
    """What the command itself closed, without what a stop-out closed after it."""
    for event in outcome.events:
        if isinstance(event, _CLOSED) and event.trade.activation != ACTIVATION_STOPOUT:
            yield event


def trade_in(outcome: Outcome, order: int) -> Trade:
    """An order as the last fact of the outcome about it left it."""
    found = [trade for trade in _trades(outcome) if trade.order == order]
    if not found:
        raise InvariantBroken(f"order {order} was changed")
    return found[-1]


def close_batch(outcome: Outcome, acks: Iterable[m.CloseAck]) -> m.CloseBatch:
    """What a batch of closes came to."""
    rows = tuple(acks)
    failures = failures_of(outcome)
    first = failures[0] if failures and not rows else None
    batch = m.CloseBatch(
        rows=rows,
        matched=len(rows) + len(failures),
        closed=len(rows),
        failed=len(failures),
        failures=failures,
    )
    if first is None:
        return batch
    return msgspec.structs.replace(batch, error=first.error, message=first.message)


def cancel_batch(outcome: Outcome) -> m.CancelBatch:
    """What a batch of cancellations came to."""
    rows = tuple(
        ack_of(event.trade, CANCEL_REQUEST)
        for event in outcome.events
        if isinstance(event, e.PendingCancelled) and not event.trade.activation
    )
    failures = failures_of(outcome)
    first = failures[0] if failures and not rows else None
    batch = m.CancelBatch(
        rows=rows,
        matched=len(rows) + len(failures),
        cancelled=len(rows),
        failed=len(failures),
        failures=failures,
    )
    if first is None:
        return batch
    return msgspec.structs.replace(batch, error=first.error, message=first.message)


def balance_ack(trade: Trade, currency: str, state: int) -> m.BalanceAck:
    """The ack of a balance operation."""
    return m.BalanceAck(
        order=trade.order,
        state=state,
        login=trade.login,
        cmd=trade.cmd,
        amount=from_minor(trade.profit_minor, currency),
    )


def record_of(trade: Trade, currency: str) -> m.TradeRecord:
    """An order as staff see it."""
    digits = trade.digits
    open_rate = round(trade.open_rate, 10) if trade.cmd in MARKET_CMDS else 0.0  # it opened at all
    return m.TradeRecord(
        order=trade.order,
        login=trade.login,
        symbol=trade.symbol,
        digits=digits,
        cmd=trade.cmd,
        volume=trade.volume,
        open_time=trade.open_ms // 1000,
        state=trade.state,
        open_price=from_points(trade.open_points, digits),
        sl=from_points(trade.sl_points, digits),
        tp=from_points(trade.tp_points, digits),
        close_time=trade.close_ms // 1000,
        expiration=trade.expiration_ms // 1000,
        reason=trade.reason,
        activation=trade.activation,
        commission=from_minor(trade.commission_minor, currency),
        storage=from_minor(trade.storage_minor, currency),
        profit=from_minor(trade.profit_minor, currency),
        close_price=from_points(trade.close_points, digits),
        margin_initial=from_minor(trade.margin_minor, currency),
        conv_rates=(open_rate, round(trade.rate_num / trade.rate_den, 10)),
        comment=trade.comment,
    )


def _trades(outcome: Outcome) -> Iterator[Trade]:
    for event in outcome.events:
        trade = getattr(event, "trade", None)
        if trade is not None:
            yield trade


def _last(outcome: Outcome) -> Trade:
    found = list(_trades(outcome))
    if not found:
        raise InvariantBroken("an accepted order leaves a fact")
    return found[-1]


def failures_of(outcome: Outcome) -> tuple[m.BatchFailure, ...]:
    """The orders of a batch that were refused."""
    return tuple(
        m.BatchFailure(order=order, error=error.code, message=str(error)) for order, error in outcome.failures
    )
