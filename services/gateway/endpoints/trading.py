"""The broker surface's rows about orders and account numbers (broker 4, 5)."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common import subjects
from libs.common.messages import trading
from libs.common.messages import trading_orders as m
from services.gateway.endpoints import trading_requests as r
from services.gateway.endpoints.admin import READERS
from services.gateway.endpoints.broker_requests import AccountRequest
from services.gateway.endpoints.row import ACCOUNT_OF_ANY, ACCOUNT_OF_OWNER, Answer, Caller, Endpoint
from services.gateway.endpoints.tool import Tool

_CLIENT, _API = 0, 7  # reason of an order: the terminal, or a key

ACCOUNT_ERRORS = ("RET_ACCOUNT_DISABLED", "RET_TRADE_READ_ONLY", "INVALID_USER")
_SYMBOL_ERRORS = (
    "RET_SYMBOL_NOT_FOUND",
    "RET_TRADE_SEC_NOT_FOUND",
    "RET_TRADE_DISABLE",
    "RET_TRADE_MARKET_CLOSED",
    "RET_TRADE_OFFQUOTES",
)
OPEN_ERRORS = (
    *ACCOUNT_ERRORS,
    *_SYMBOL_ERRORS,
    "RET_TRADE_INCORRECT_CMD",
    "RET_TRADE_BAD_VOLUME",
    "RET_TRADE_INVALID_SL_TP",
    "RET_TRADE_LIMIT_REACHED",
    "RET_TRADE_HEDGE_PROHIBITED",
    "RET_TRADE_NO_MONEY",
    "IDEMPOTENCY_MISMATCH",
)
_ORDER_ERRORS = (
    *ACCOUNT_ERRORS,
    "RET_NOT_FOUND",
    "RET_TRADE_INCORRECT_STATE",
    "RET_TRADE_INCORRECT_CMD",
)
MODIFY_ERRORS = (*_ORDER_ERRORS, *_SYMBOL_ERRORS, "MODIFY_TRADE_ERROR", "RET_TRADE_INVALID_SL_TP")


def read_only(caller: Caller) -> bool:
    """Whether the session may only look: signed in with the investor's password, or a key for tests."""
    return caller.principal.read_only or caller.principal.mode == "test"


def reason_of(caller: Caller) -> int:
    """Where an order came from (broker 10.3)."""
    return _API if caller.principal.kind == "key" else _CLIENT


def _open(request: r.OpenRequest, caller: Caller) -> m.TradeOpen:
    return m.TradeOpen(
        login=caller.login,
        read_only=read_only(caller),
        cmd=request.cmd,
        volume=request.volume,
        symbol=request.symbol,
        sl=request.sl,
        tp=request.tp,
        open_price=request.open_price or 0.0,
        comment=request.comment or "",
        reason=reason_of(caller),
        client_order_id=request.client_order_id or "",
    )


def _open_pending(request: r.OpenPendingRequest, caller: Caller) -> m.PendingOpen:
    return m.PendingOpen(
        login=caller.login,
        read_only=read_only(caller),
        cmd=request.cmd,
        volume=request.volume,
        symbol=request.symbol,
        open_price=request.open_price,
        sl=request.sl,
        tp=request.tp,
        expiration=request.expiration or 0,
        comment=request.comment or "",
        reason=reason_of(caller),
        client_order_id=request.client_order_id or "",
    )


def _close(request: r.CloseRequest, caller: Caller) -> m.TradeClose:
    return m.TradeClose(
        login=caller.login,
        read_only=read_only(caller),
        order=request.order,
        volume=request.volume,
        comment=request.comment or "",
    )


def _close_by(request: r.CloseByRequest, caller: Caller) -> m.TradeCloseBy:
    return m.TradeCloseBy(
        login=caller.login, read_only=read_only(caller), order=request.order, order_by=request.order_by
    )


def _close_group(request: r.CloseGroupRequest, caller: Caller) -> m.TradeCloseGroup:
    return m.TradeCloseGroup(
        login=caller.login,
        read_only=read_only(caller),
        type=request.type,
        symbol=request.symbol,
        comment=request.comment,
    )


def _cancel(request: r.CancelRequest, caller: Caller) -> m.PendingCancel:
    return m.PendingCancel(login=caller.login, read_only=read_only(caller), order=request.order)


def _cancel_group(request: r.CancelGroupRequest, caller: Caller) -> m.PendingCancelGroup:
    return m.PendingCancelGroup(login=caller.login, read_only=read_only(caller), symbol=request.symbol)


def _modify(request: r.ModifyRequest, caller: Caller) -> m.TradeModify:
    return m.TradeModify(
        login=caller.login,
        read_only=read_only(caller),
        order=request.order,
        sl=request.sl,
        tp=request.tp,
    )


def _modify_pending(request: r.ModifyPendingRequest, caller: Caller) -> m.PendingModify:
    return m.PendingModify(
        login=caller.login,
        read_only=read_only(caller),
        order=request.order,
        open_price=request.open_price,
        sl=request.sl,
        tp=request.tp,
        expiration=request.expiration,
    )


def _trades(request: r.TradesRequest, caller: Caller) -> m.TradesAsk:
    return m.TradesAsk(
        login=caller.login,
        limit=request.limit,
        offset=request.offset,
        trade_type=request.trade_type,
        where=request.where or (),
        where_not=request.where_not or (),
        where_in=request.where_in or (),
        where_not_in=request.where_not_in or (),
        where_between=request.where_between or (),
        where_not_between=request.where_not_between or (),
    )


def _history(request: r.HistoryRequest, caller: Caller) -> m.HistoryAsk:
    return m.HistoryAsk(login=caller.login, from_s=request.from_, to_s=request.to)


def _me(request: AccountRequest, caller: Caller) -> m.AccountMeAsk:
    return m.AccountMeAsk(login=caller.login)


def _balance(request: AccountRequest, caller: Caller) -> trading.AccountAsk:
    return trading.AccountAsk(login=caller.login)


def _balances(request: r.BalancesRequest, caller: Caller) -> m.BalancesAsk:
    return m.BalancesAsk(logins=request.logins)


class _Counts(msgspec.Struct):
    """The part of a batch that says how it went."""

    matched: int
    failed: int


_counts = msgspec.json.Decoder(_Counts)


def batch(reply: bytes) -> Answer:
    """200 when all were accepted, 207 when some were, 409 when none was (broker 1.1)."""
    counts = _counts.decode(reply)
    status = 200 if not counts.failed else 409 if counts.failed == counts.matched else 207
    return Answer(reply, status=status)


def _order(**row: Any) -> Endpoint:
    return Endpoint(**{"surface": "broker", "tags": ("trade",), "access": ACCOUNT_OF_OWNER, **row})


ORDERS = (
    _order(
        method="POST",
        path="/trade/open",
        summary="Buy or sell at the market",
        tools=(
            Tool(
                name="order",
                title="Buy or sell at the market",
                description="Open a position with real effect on the account. cmd 0 buys, 1 sells; volume is"
                " lots x 100. Needs a key with the scope trade and an idempotency_key: when no answer came,"
                " send the same again.",
                key_required=True,
            ),
        ),
        description="An ack says that the order is filled and committed; `state` is that of the request. "
        "With `client_order_id` the order happens once: sent again it gives the same ack.",
        repeat="key",
        request=r.OpenRequest,
        command=subjects.TRADE_OPEN,
        message=_open,
        response=m.TradeAck,
        errors=(*OPEN_ERRORS, "RET_TRADE_LONG_ONLY", "RET_TRADE_REQUOTE"),
    ),
    _order(
        method="POST",
        path="/trade/open/pending",
        summary="Place a pending order",
        repeat="key",
        request=r.OpenPendingRequest,
        command=subjects.PENDING_OPEN,
        message=_open_pending,
        response=m.TradeAck,
        errors=(*OPEN_ERRORS, "RET_TRADE_BAD_PRICES", "RET_TRADE_EXPIRATION_DENIED"),
    ),
    _order(
        method="DELETE",
        path="/trade/close",
        summary="Close a position, whole or in part",
        description="In part, the closed part keeps the order number; the rest goes on under a new one.",
        repeat="key",
        request=r.CloseRequest,
        command=subjects.TRADE_CLOSE,
        message=_close,
        response=m.CloseAck,
        errors=(
            *_ORDER_ERRORS,
            *_SYMBOL_ERRORS,
            "RET_TRADE_BAD_VOLUME",
            "RET_TRADE_PROHIBITED_BY_FIFO",
            "RET_TRADE_MODIFY_DENIED",
        ),
    ),
    _order(
        method="DELETE",
        path="/trade/close/by",
        summary="Close two opposite positions against each other",
        repeat="key",
        request=r.CloseByRequest,
        command=subjects.TRADE_CLOSE_BY,
        message=_close_by,
        response=m.CloseBatch,
        render=batch,
        errors=(*_ORDER_ERRORS, *_SYMBOL_ERRORS, "RET_TRADE_INCORRECT_ORDER"),
    ),
    _order(
        method="DELETE",
        path="/trade/close/group",
        summary="Close all positions, those in profit, or those in loss",
        description="200 when all were closed, 207 when some were, 409 when none was, 404 when none matched.",
        repeat="key",
        request=r.CloseGroupRequest,
        command=subjects.TRADE_CLOSE_GROUP,
        message=_close_group,
        response=m.CloseBatch,
        render=batch,
        errors=(*ACCOUNT_ERRORS, "RET_NOT_FOUND"),
    ),
    _order(
        method="DELETE",
        path="/trade/cancel",
        summary="Cancel a pending order",
        repeat="key",
        request=r.CancelRequest,
        command=subjects.PENDING_CANCEL,
        message=_cancel,
        response=m.TradeAck,
        errors=(*_ORDER_ERRORS, "RET_TRADE_MODIFY_DENIED"),
    ),
    _order(
        method="DELETE",
        path="/trade/cancel/group",
        summary="Cancel pending orders",
        description="200 when all were cancelled, 207 when some were, 409 when none, 404 when none matched.",
        repeat="key",
        request=r.CancelGroupRequest,
        command=subjects.PENDING_CANCEL_GROUP,
        message=_cancel_group,
        response=m.CancelBatch,
        render=batch,
        errors=(*ACCOUNT_ERRORS, "RET_NOT_FOUND"),
    ),
    *(
        _order(
            method="PUT",
            path=path,
            summary=summary,
            repeat="idempotent",
            request=r.ModifyRequest,
            command=subjects.TRADE_MODIFY,
            message=_modify,
            response=m.TradeAck,
            errors=MODIFY_ERRORS,
        )
        for path, summary in (
            ("/trade/modify/open", "Change stop loss and take profit of a position"),
            ("/trade/modify", "The same under its old path"),
        )
    ),
    _order(
        method="PUT",
        path="/trade/modify/pending",
        summary="Change a pending order",
        repeat="idempotent",
        request=r.ModifyPendingRequest,
        command=subjects.PENDING_MODIFY,
        message=_modify_pending,
        response=m.TradeAck,
        errors=(*MODIFY_ERRORS, "RET_TRADE_BAD_PRICES", "RET_TRADE_EXPIRATION_DENIED"),
    ),
    _order(
        method="GET",
        path="/trades",
        summary="Open, closed, pending and finance orders, with count and totals of all that match",
        tools=(Tool(name="trades", open_world=True),),
        repeat="safe",
        request=r.TradesRequest,
        command=subjects.TRADES,
        message=_trades,
        response=m.TradeTable,
        errors=("INVALID_USER",),
    ),
    _order(
        method="GET",
        path="/trades/history/login",
        summary="What closed between two times, finance included",
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=r.HistoryRequest,
        command=subjects.TRADE_HISTORY,
        message=_history,
        response=m.HistoryTable,
        errors=("INVALID_USER",),
    ),
)

ACCOUNT = (
    _order(
        method="GET",
        path="/account/me",
        tags=("account",),
        summary="The account with its profile and numbers",
        tools=(Tool(name="account", open_world=True),),
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=AccountRequest,
        command=subjects.ACCOUNT_ME,
        message=_me,
        response=m.AccountMe,
        errors=("INVALID_USER",),
    ),
    _order(
        method="GET",
        path="/account/balance",
        tags=("account",),
        summary="The account's numbers",
        repeat="safe",
        request=AccountRequest,
        command=subjects.ACCOUNT_GET,
        message=_balance,
        response=trading.AccountState,
        errors=("INVALID_USER",),
    ),
    _order(
        method="GET",
        path="/balances/list",
        tags=("account",),
        summary="The numbers of many accounts, in the order asked for",
        access=READERS,
        repeat="safe",
        request=r.BalancesRequest,
        command=subjects.BALANCES,
        message=_balances,
        response=m.Balances,
        errors=("INVALID_USER",),
    ),
)

ROWS = (*ACCOUNT, *ORDERS)
