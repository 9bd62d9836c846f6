"""Rows about orders beyond the broker contract: dry runs, trailing stops, linked orders, limits, kill
switches, simulated fills and journal notes. All of it is off until somebody asks for it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from libs.common import subjects
from libs.common.messages import house
from libs.common.messages import trading_extras as x
from libs.common.messages import trading_orders as m
from services.gateway.endpoints import trading_requests as r
from services.gateway.endpoints.admin import READERS
from services.gateway.endpoints.broker_requests import AccountRequest
from services.gateway.endpoints.fields import Count, Flag, Line, Login, Seconds, Symbol
from services.gateway.endpoints.row import ACCOUNT_OF_OWNER, ADMIN_ONLY, Caller, Endpoint
from services.gateway.endpoints.tool import Tool
from services.gateway.endpoints.trading import (
    ACCOUNT_ERRORS,
    MODIFY_ERRORS,
    OPEN_ERRORS,
    read_only,
    reason_of,
)
from services.gateway.errors import NotEnoughRights

Distance = Annotated[float, Meta(ge=0, le=1e15, description="A price difference; 0 ends it.")]
Loss = Annotated[float, Meta(ge=0, le=1e12, description="Account currency; 0 is no limit.")]
Limit = Annotated[int, Meta(ge=0, le=2**31 - 1, description="0 is no limit.")]
Note = Annotated[str, Meta(max_length=4000)]
_BY_OWNER, _BY_HOUSE = 1, 2


class CheckRequest(AccountRequest, frozen=True, kw_only=True):
    """An order as for ``/trade/open`` or ``/trade/open/pending``."""

    cmd: r.Cmd
    volume: r.Volume
    symbol: Symbol
    open_price: r.Price = 0.0
    sl: r.Price = 0.0
    tp: r.Price = 0.0
    expiration: Seconds = 0


class TrailRequest(AccountRequest, frozen=True, kw_only=True):
    """How far a stop loss trails, and in which steps; without ``step`` a tenth of the distance."""

    order: r.Order
    distance: Distance
    step: Distance = 0.0


class LinkedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One pending order of a linked group."""

    cmd: r.Cmd
    volume: r.Volume
    symbol: Symbol
    open_price: r.Price
    sl: r.Price = 0.0
    tp: r.Price = 0.0
    expiration: Seconds = 0
    comment: Line = ""


class LinkedRequest(AccountRequest, frozen=True, kw_only=True):
    """``then`` are held until ``first`` is filled and go with it; with ``one_cancels_other`` the first of
    ``then`` that is filled cancels the rest."""

    then: Annotated[list[LinkedPart], Meta(min_length=1, max_length=10)]
    first: LinkedPart | None = None
    one_cancels_other: Flag = 0


class LimitsRequest(AccountRequest, frozen=True, kw_only=True):
    """Limits to change; absent ones stay."""

    max_daily_loss: Loss | None = None
    max_open_volume: Limit | None = None
    max_orders_per_minute: Limit | None = None
    fill_profile: Annotated[str, Meta(max_length=32)] | None = None


class HaltRequest(AccountRequest, frozen=True, kw_only=True):
    """``on`` 1 pulls the kill switch, 0 lets go of it; ``flatten`` closes and cancels everything, too."""

    on: Flag
    flatten: Flag = 0


class StaffHaltRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch of one account."""

    login: Login
    on: Flag
    flatten: Flag = 0


class HouseHaltRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch of the whole house."""

    on: Flag
    flatten: Flag = 0


class NoteRequest(AccountRequest, frozen=True, kw_only=True):
    """A journal note of an order; an empty one is taken away."""

    order: r.Order
    note: Note


class NotesRequest(AccountRequest, frozen=True, kw_only=True):
    """A page of journal notes, newest order first; of one order when it is given."""

    order: r.Order | None = None
    limit: r.PageLimit = 100
    offset: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class FillsRequest(AccountRequest, frozen=True, kw_only=True):
    """How an order was filled."""

    order: Count


def _may_change(caller: Caller) -> None:
    if read_only(caller):
        raise NotEnoughRights


def _check(request: CheckRequest, caller: Caller) -> x.OrderCheck:
    return x.OrderCheck(**_own(request, caller))


def _trail(request: TrailRequest, caller: Caller) -> x.TradeTrail:
    return x.TradeTrail(**_own(request, caller))


def _linked(request: LinkedRequest, caller: Caller) -> x.LinkedOpen:
    return x.LinkedOpen(
        login=caller.login,
        read_only=read_only(caller),
        first=None if request.first is None else _part(request.first),
        then=[_part(one) for one in request.then],
        one_cancels_other=bool(request.one_cancels_other),
        reason=reason_of(caller),
    )


def _part(part: LinkedPart) -> x.LinkedOrder:
    return x.LinkedOrder(**msgspec.structs.asdict(part))


def _limits(request: AccountRequest, caller: Caller) -> x.LimitsAsk:
    return x.LimitsAsk(login=caller.login)


def _limits_put(request: LimitsRequest, caller: Caller) -> x.LimitsPut:
    _may_change(caller)
    return x.LimitsPut(**{**msgspec.structs.asdict(request), "login": caller.login})


def _halt(request: HaltRequest, caller: Caller) -> x.HaltPut:
    return x.HaltPut(
        login=caller.login,
        read_only=read_only(caller),
        on=bool(request.on),
        flatten=bool(request.flatten),
        by=_BY_OWNER,
    )


def _staff_halt(request: StaffHaltRequest, caller: Caller) -> x.HaltPut:
    return x.HaltPut(login=request.login, on=bool(request.on), flatten=bool(request.flatten), by=_BY_HOUSE)


def _house_halt(request: HouseHaltRequest, caller: Caller) -> x.HouseHaltPut:
    return x.HouseHaltPut(on=bool(request.on), flatten=bool(request.flatten))


def _note(request: NoteRequest, caller: Caller) -> x.NotePut:
    _may_change(caller)
    return x.NotePut(login=caller.login, order=request.order, note=request.note)


def _notes(request: NotesRequest, caller: Caller) -> x.NotesAsk:
    return x.NotesAsk(login=caller.login, order=request.order, limit=request.limit, offset=request.offset)


def _fills(request: FillsRequest, caller: Caller) -> x.FillsAsk:
    return x.FillsAsk(login=caller.login, order=request.order)


def _own(request: AccountRequest, caller: Caller) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(request),
        "login": caller.login,
        "read_only": read_only(caller),
    }


def _row(**row: Any) -> Endpoint:
    return Endpoint(**{"surface": "broker", "tags": ("trade",), "access": ACCOUNT_OF_OWNER, **row})


def _admin(**row: Any) -> Endpoint:
    return Endpoint(surface="admin", tags=("admin",), audited=row["method"] != "GET", **row)


ROWS = (
    _row(
        method="POST",
        path="/trade/check",
        summary="What an order would come to: margin, commission, the account after it; nothing is done",
        description="`accepted` false and `error` say why it would be refused. A pending order is weighed as "
        "if it were filled at its price. Under a profile of simulated fills the numbers are those of a fill "
        "at the quote; `worst_price`, `may_be_partial` and `may_be_rejected` say the worst it may do.",
        repeat="idempotent",
        request=CheckRequest,
        command=subjects.ORDER_CHECK,
        message=_check,
        response=x.OrderChecked,
        errors=("INVALID_USER", "RET_TRADE_INCORRECT_CMD"),
        tools=(
            Tool(
                name="order_check",
                title="Dry run of an order",
                description="What an order would come to: margin, commission, the account after it, or why it"
                " would be refused. Nothing is done. Ask this before tradewind_order.",
                read_only=True,
            ),
        ),
    ),
    _row(
        method="PUT",
        path="/trade/trail",
        summary="Let a position's stop loss trail its price, or end it",
        repeat="idempotent",
        request=TrailRequest,
        command=subjects.TRADE_TRAIL,
        message=_trail,
        response=m.TradeAck,
        errors=(*MODIFY_ERRORS, "RET_NOT_ENOUGH_RIGHTS", "RET_TRADE_MODIFY_DENIED"),
    ),
    _row(
        method="POST",
        path="/trade/open/linked",
        summary="Place pending orders that know of each other, all or none",
        repeat="key",
        request=LinkedRequest,
        command=subjects.LINKED_OPEN,
        message=_linked,
        response=x.LinkedAck,
        errors=(*OPEN_ERRORS, "RET_TRADE_BAD_PRICES", "RET_TRADE_EXPIRATION_DENIED"),
    ),
    _row(
        method="GET",
        path="/account/limits",
        tags=("account",),
        summary="The limits an account set itself, and its kill switch",
        repeat="safe",
        request=AccountRequest,
        command=subjects.LIMITS_GET,
        message=_limits,
        response=x.LimitsView,
        errors=("INVALID_USER",),
    ),
    _row(
        method="PUT",
        path="/account/limits",
        tags=("account",),
        summary="Set daily loss, open volume, orders per minute, or the profile fills are simulated by",
        repeat="idempotent",
        request=LimitsRequest,
        command=subjects.LIMITS_PUT,
        message=_limits_put,
        response=x.LimitsView,
        errors=("INVALID_USER", "RET_NOT_ENOUGH_RIGHTS"),
    ),
    _row(
        method="PUT",
        path="/account/halt",
        tags=("account",),
        summary="Pull the account's kill switch: nothing opens until it is let go",
        repeat="idempotent",
        request=HaltRequest,
        command=subjects.ACCOUNT_HALT,
        message=_halt,
        response=x.Halted,
        errors=(*ACCOUNT_ERRORS, "RET_NOT_ENOUGH_RIGHTS"),
    ),
    _row(
        method="PUT",
        path="/trade/note",
        summary="Write a journal note to an order, or take it away",
        repeat="idempotent",
        request=NoteRequest,
        command=subjects.NOTE_PUT,
        message=_note,
        response=house.Done,
        errors=("RET_NOT_FOUND", "RET_NOT_ENOUGH_RIGHTS"),
    ),
    _row(
        method="GET",
        path="/trade/notes",
        summary="Journal notes, newest order first",
        repeat="safe",
        request=NotesRequest,
        command=subjects.NOTES,
        message=_notes,
        response=x.Table,
    ),
    _row(
        method="GET",
        path="/trade/fills",
        summary="How a simulation profile filled an order; no rows where it filled at the quote",
        repeat="safe",
        request=FillsRequest,
        command=subjects.FILLS,
        message=_fills,
        response=x.Table,
    ),
    _admin(
        method="PUT",
        path="/admin/users/{login}/halt",
        summary="Pull an account's kill switch, or let go of it, also of its owner's",
        access=READERS,
        repeat="idempotent",
        request=StaffHaltRequest,
        command=subjects.ACCOUNT_HALT,
        message=_staff_halt,
        response=x.Halted,
        errors=("INVALID_USER",),
    ),
    _admin(
        method="GET",
        path="/admin/halt",
        summary="Where the house's kill switch stands",
        access=READERS,
        repeat="safe",
        command=subjects.HOUSE_HALT_GET,
        message=lambda request, caller: x.HouseHaltAsk(),
        response=x.HouseHalted,
    ),
    _admin(
        method="PUT",
        path="/admin/halt",
        summary="Pull the kill switch of the whole house, or let go of it",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=HouseHaltRequest,
        command=subjects.HOUSE_HALT,
        message=_house_halt,
        response=x.HouseHalted,
    ),
)
