"""Admin rows about accounts' money and orders: the staff operations of broker 9.5.

Rights by kind of staff: MANAGER books money, DEALER opens, closes and corrects orders, ADMIN does both; all
of them may ask what a swap would be. The ``/sync`` forms answer with the order as its event left it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from libs.common import subjects
from libs.common.errors import InvalidData
from libs.common.messages import trading_orders as m
from services.gateway.endpoints import trading_requests as r
from services.gateway.endpoints.admin import QUOTERS, READERS, USERS
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.errors import InvalidLogin

BALANCE_IN, CREDIT_IN, BALANCE_OUT, CREDIT_OUT = range(6, 10)
_FINANCE_COMMENT = "Finance"
_MONEY_ERRORS = ("INVALID_USER", "RET_TRADE_NO_MONEY", "RET_NOT_FOUND", "RET_TRADE_INCORRECT_CMD")
_ORDER_ERRORS = (
    "INVALID_USER",
    "RET_NOT_FOUND",
    "RET_SYMBOL_NOT_FOUND",
    "RET_TRADE_OFFQUOTES",
    "RET_TRADE_BAD_VOLUME",
    "RET_TRADE_INVALID_SL_TP",
    "RET_TRADE_INCORRECT_CMD",
    "RET_TRADE_INCORRECT_STATE",
    "RET_TRADE_BAD_CLOSE_TIME",
    "RET_TRADE_NO_MONEY",
)


def _login(request: r.StaffRequest) -> int:
    if request.login is None:
        raise InvalidLogin
    return request.login


def _balance(request: r.BalanceRequest, caller: Caller) -> m.BalanceChange:
    return m.BalanceChange(
        login=_login(request), cmd=request.cmd, amount=request.amount, comment=request.comment
    )


def _money(cmd: int) -> Callable[[r.MoneyRequest, Caller], m.BalanceChange]:
    def message(request: r.MoneyRequest, caller: Caller) -> m.BalanceChange:
        login = _login(request)
        if cmd == CREDIT_OUT and not request.comment:
            raise InvalidData("comment: this field is required")
        default = _FINANCE_COMMENT if request.order is None else ""
        return m.BalanceChange(
            login=login,
            cmd=cmd,
            amount=request.amount,
            comment=default if request.comment is None else request.comment,
            order=request.order,
            open_time=request.open_time,
            close_time=request.close_time,
        )

    return message


def _given(request: r.StaffRequest) -> dict[str, Any]:
    return {**msgspec.structs.asdict(request), "login": _login(request)}


def _open(request: r.MngOpenRequest, caller: Caller) -> m.StaffOpenAsk:
    return m.StaffOpenAsk(**_given(request))


def _close(request: r.MngCloseRequest, caller: Caller) -> m.StaffCloseAsk:
    return m.StaffCloseAsk(**_given(request))


def _update(kind: str) -> Callable[[r.MngUpdateRequest, Caller], m.StaffUpdateAsk]:
    return lambda request, caller: m.StaffUpdateAsk(**_given(request), kind=kind)


def _swap(request: r.SwapRequest, caller: Caller) -> m.SwapAsk:
    return m.SwapAsk(**_given(request))


def _row(**row: Any) -> Endpoint:
    return Endpoint(
        **{
            "surface": "admin",
            "tags": ("admin",),
            "audited": row["method"] != "GET",
            "repeat": "key",
            **row,
        }
    )


MONEY = (
    _row(
        method="POST",
        path="/admin/balance",
        summary="A balance (cmd 6 in, 8 out) or credit (7 in, 9 out) operation; out is negative",
        access=USERS,
        request=r.BalanceRequest,
        command=subjects.BALANCE_CHANGE,
        message=_balance,
        response=m.BalanceAck,
        errors=_MONEY_ERRORS,
    ),
    *(
        _row(
            method="POST",
            path=path,
            summary=f"{name}: {what}; with `order` such an operation is corrected",
            access=USERS,
            request=r.MoneyRequest,
            command=subjects.BALANCE_CHANGE,
            message=_money(cmd),
            response=m.BalanceAck,
            errors=_MONEY_ERRORS,
        )
        for path, name, what, cmd in (
            ("/admin/balance/in", "BalanceIn", "money in, amount above 0", BALANCE_IN),
            ("/admin/balance/out", "BalanceOut", "money out, amount below 0", BALANCE_OUT),
            ("/admin/credit/in", "CreditIn", "credit in, amount above 0", CREDIT_IN),
            ("/admin/credit/out", "CreditOut", "credit out, amount below 0", CREDIT_OUT),
        )
    ),
)


def _both(
    *, path: str, name: str, sync: Any, command: Any, response: Any, **row: Any
) -> tuple[Endpoint, ...]:
    """An operation and its Sync form."""
    return (
        _row(path=path, summary=name, command=command, response=response, errors=_ORDER_ERRORS, **row),
        _row(
            path=f"{path}/sync",
            summary=f"{name}; waits for its event and answers with the order",
            command=sync,
            response=m.TradeRecord,
            errors=(*_ORDER_ERRORS, "SYNC_TIMEOUT"),
            **row,
        ),
    )


ORDERS = (
    *_both(
        method="POST",
        path="/admin/trade/open",
        name="MngOpenTrade: open a position or place a pending order for a client",
        access=QUOTERS,
        request=r.MngOpenRequest,
        command=subjects.MNG_OPEN,
        sync=subjects.MNG_OPEN_SYNC,
        message=_open,
        response=m.TradeAck,
    ),
    *_both(
        method="POST",
        path="/admin/trade/close",
        name="MngCloseTrade: close a client's position, or a part of it",
        access=QUOTERS,
        request=r.MngCloseRequest,
        command=subjects.MNG_CLOSE,
        sync=subjects.MNG_CLOSE_SYNC,
        message=_close,
        response=m.CloseAck,
    ),
    *(
        row
        for path, name, kind in (
            ("/admin/trade", "MngUpdateTrade: correct an order of any kind", "any"),
            ("/admin/trade/open", "MngUpdateOpenTrade: correct an open position", "open"),
            ("/admin/trade/close", "MngUpdateCloseTrade: correct a closed order", "close"),
            ("/admin/trade/pending", "MngUpdatePendingTrade: correct a pending order", "pending"),
        )
        for row in _both(
            method="PUT",
            path=path,
            name=name,
            access=QUOTERS,
            repeat="idempotent",
            request=r.MngUpdateRequest,
            command=subjects.MNG_UPDATE,
            sync=subjects.MNG_UPDATE_SYNC,
            message=_update(kind),
            response=m.TradeAck,
        )
    ),
    _row(
        method="GET",
        path="/admin/swap",
        summary="CalculateSwap: what holding a position would have cost, at today's terms and rates",
        access=READERS,
        repeat="safe",
        request=r.SwapRequest,
        command=subjects.SWAP_CALCULATE,
        message=_swap,
        response=m.SwapAmount,
        errors=("INVALID_USER", "RET_SYMBOL_NOT_FOUND", "RET_TRADE_OFFQUOTES", "RET_TRADE_INCORRECT_CMD"),
    ),
)

ROWS = (*MONEY, *ORDERS)
