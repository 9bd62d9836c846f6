"""The broker surface's rows: signing in, the market, candles, the market watch, price alerts."""

from __future__ import annotations

from typing import Any

from libs.common import subjects
from libs.common.errors import InvalidData
from libs.common.messages import alerts, auth, house, market
from services.gateway.endpoints.broker_requests import (
    AccountRequest,
    AlertCreateRequest,
    AlertDeleteRequest,
    AlertLogsRequest,
    AlertUpdateRequest,
    CandlesRequest,
    RefreshRequest,
    SignInRequest,
    SignOutRequest,
    SignUpRequest,
    SymbolRequest,
    WatchListRequest,
    WatchUpdateRequest,
)
from services.gateway.endpoints.row import (
    ACCOUNT_OF_ANY,
    ACCOUNT_OF_OWNER,
    ANY_SESSION,
    ANY_SESSION_OR_KEY,
    KIB,
    OWNER,
    PUBLIC,
    Access,
    Caller,
    Endpoint,
    Limit,
)
from services.gateway.endpoints.tool import Tool

# Passwords are slow on purpose: this only keeps one address from queueing them by the thousand. Wrong
# passwords are counted by auth.
SIGN_UPS = Limit("sign-up", 600)
SIGN_INS = Limit("sign-in", 600)


def _sign_up(request: SignUpRequest, caller: Caller) -> auth.SignUp:
    return auth.SignUp(
        name=request.name,
        email=request.email,
        password=request.password,
        group=request.group,
        leverage=request.leverage,
        phone=request.phone,
        country=request.country,
        city=request.city,
        address=request.address,
        state=request.state,
        zipcode=request.zipcode,
        comment=request.comment,
        lead_source=request.lead_source,
        ip=caller.principal.address,
    )


def _sign_in(request: SignInRequest, caller: Caller) -> auth.SignIn:
    return auth.SignIn(login=request.login, password=request.password, ip=caller.principal.address)


def _sign_check(request: Any, caller: Caller) -> auth.SignCheck:
    principal = caller.principal
    return auth.SignCheck(
        login=principal.login or 0,
        session_type=principal.session_type,
        jti=principal.jti,
        token=caller.token,
    )


def _sign_out(request: SignOutRequest, caller: Caller) -> auth.SignOut:
    return auth.SignOut(token=caller.token, only_this=bool(request.only_this))


def _refresh(request: RefreshRequest, caller: Caller) -> auth.Refresh:
    return auth.Refresh(refresh_token=request.refresh_token, ip=caller.principal.address)


def _stream_token(request: Any, caller: Caller) -> auth.StreamTokenAsk:
    return auth.StreamTokenAsk(token=caller.token)


def _assets(request: AccountRequest, caller: Caller) -> market.AssetsAsk:
    return market.AssetsAsk(login=caller.login, group=caller.group)


def _symbol(request: SymbolRequest, caller: Caller) -> market.SymbolAsk:
    return market.SymbolAsk(login=caller.login, group=caller.group, symbol=request.symbol)


def _candles(request: CandlesRequest, caller: Caller) -> market.CandlesAsk:
    return market.CandlesAsk(
        symbol=request.symbol, frame=request.frame, from_s=request.from_, to_s=request.to
    )


def _watch_list(request: WatchListRequest, caller: Caller) -> market.WatchAsk:
    return market.WatchAsk(login=caller.login, group=caller.group)


def _watch_add(request: SymbolRequest, caller: Caller) -> market.WatchAdd:
    return market.WatchAdd(login=caller.login, group=caller.group, symbol=request.symbol)


def _watch_update(request: WatchUpdateRequest, caller: Caller) -> market.WatchUpdate:
    if request.sort_index is None and request.color is None:
        raise InvalidData("sort_index or color is needed")
    return market.WatchUpdate(
        login=caller.login,
        group=caller.group,
        symbol=request.symbol,
        sort_index=request.sort_index,
        color=request.color,
    )


def _watch_remove(request: SymbolRequest, caller: Caller) -> market.WatchRemove:
    return market.WatchRemove(login=caller.login, symbol=request.symbol)


def _alerts(request: AccountRequest, caller: Caller) -> alerts.AlertListAsk:
    return alerts.AlertListAsk(login=caller.login)


def _alert_create(request: AlertCreateRequest, caller: Caller) -> alerts.AlertCreate:
    return alerts.AlertCreate(
        login=caller.login,
        group=caller.group,
        symbol=request.symbol,
        side=request.side,
        condition=request.condition,
        repeat_mode=request.repeat_mode,
        target_price=request.target_price,
        channel_low=request.channel_low,
        channel_high=request.channel_high,
        move_threshold=request.move_threshold,
        expires_at=request.expires_at or 0,
        reference_price=request.reference_price,
        reference_time=request.reference_time,
        indicator_name=request.indicator_name or "",
        message=request.message or "",
        comment=request.comment or "",
    )


def _alert_update(request: AlertUpdateRequest, caller: Caller) -> alerts.AlertUpdate:
    return alerts.AlertUpdate(
        id=request.id,
        login=caller.login,
        group=caller.group,
        symbol=request.symbol,
        side=request.side,
        condition=request.condition,
        repeat_mode=request.repeat_mode,
        status=request.status,
        target_price=request.target_price,
        channel_low=request.channel_low,
        channel_high=request.channel_high,
        move_threshold=request.move_threshold,
        expires_at=request.expires_at,
        reference_price=request.reference_price,
        reference_time=request.reference_time,
        indicator_name=request.indicator_name,
        message=request.message,
        comment=request.comment,
    )


def _alert_delete(request: AlertDeleteRequest, caller: Caller) -> alerts.AlertDelete:
    return alerts.AlertDelete(id=request.id, login=caller.login)


def _alert_log_delete(request: AlertDeleteRequest, caller: Caller) -> alerts.AlertLogDelete:
    return alerts.AlertLogDelete(id=request.id, login=caller.login)


def _alert_log_clear(request: AccountRequest, caller: Caller) -> alerts.AlertLogClear:
    return alerts.AlertLogClear(login=caller.login)


def _alert_logs(request: AlertLogsRequest, caller: Caller) -> alerts.AlertLogAsk:
    return alerts.AlertLogAsk(login=caller.login, limit=request.limit, offset=request.offset)


_ALERT_ERRORS = (
    "INVALID_TARGET_PRICE",
    "INVALID_CHANNEL",
    "INVALID_MOVE_THRESHOLD",
    "INVALID_EXPIRES_AT",
    "RET_SYMBOL_NOT_FOUND",
)

SIGN = (
    Endpoint(
        method="POST",
        path="/sign/up",
        surface="broker",
        tags=("sign",),
        summary="Open a person and a demo account",
        description="The answer is the sign-in object; its token also comes as the cookie `tw_token`.",
        access=PUBLIC,
        repeat="key",
        request=SignUpRequest,
        command=subjects.SIGN_UP,
        message=_sign_up,
        response=auth.SignedIn,
        body_bytes_max=16 * KIB,
        limits=(SIGN_UPS,),
        starts_session=True,
        errors=("GROUP_NOT_FOUND", "RET_USR_ACCOUNT_EXIST", "PERMISSION_DENIED"),
    ),
    Endpoint(
        method="POST",
        path="/sign/in",
        surface="broker",
        tags=("sign",),
        summary="Sign in to a trading account, or as staff",
        access=PUBLIC,
        repeat="idempotent",
        request=SignInRequest,
        command=subjects.SIGN_IN,
        message=_sign_in,
        response=auth.SignedIn,
        body_bytes_max=16 * KIB,
        limits=(SIGN_INS,),
        starts_session=True,
        errors=("USER_DISABLED", "USER_NOT_FOUND_OR_INCORRECT", "GROUP_NOT_FOUND", "INVALID_MARGIN_LEVEL"),
    ),
    Endpoint(
        method="GET",
        path="/sign/check",
        surface="broker",
        tags=("sign",),
        summary="Who am I: the sign-in object of the token",
        access=ANY_SESSION,
        repeat="safe",
        command=subjects.SIGN_CHECK,
        message=_sign_check,
        response=auth.SignedIn,
        errors=("USER_DISABLED", "USER_NOT_FOUND_OR_INCORRECT"),
    ),
    Endpoint(
        method="POST",
        path="/sign/refresh",
        surface="broker",
        tags=("sign",),
        summary="A new access token for a refresh token, which counts once",
        description="Using a refresh token twice ends its session.",
        access=PUBLIC,
        repeat="key",
        request=RefreshRequest,
        command=subjects.SIGN_REFRESH,
        message=_refresh,
        response=auth.Refreshed,
        body_bytes_max=16 * KIB,
        limits=(SIGN_INS,),
        starts_session=True,
        errors=("USER_DISABLED",),
    ),
    Endpoint(
        method="POST",
        path="/sign/out",
        surface="broker",
        tags=("sign",),
        summary="End every session of the account, or only this one",
        access=ANY_SESSION,
        repeat="idempotent",
        request=SignOutRequest,
        command=subjects.SIGN_OUT,
        message=_sign_out,
        response=house.Done,
        ends_session=True,
    ),
    Endpoint(
        method="POST",
        path="/stream/token",
        surface="broker",
        tags=("sign",),
        summary="A token that opens one socket, within a minute",
        access=Access(OWNER),
        repeat="key",
        command=subjects.STREAM_TOKEN,
        message=_stream_token,
        response=auth.StreamToken,
    ),
)

MARKET = (
    Endpoint(
        method="GET",
        path="/market",
        surface="broker",
        tags=("market",),
        summary="Every symbol the account's group sees, as full objects",
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=AccountRequest,
        command=subjects.ASSETS,
        message=_assets,
        response=market.Assets,
        errors=("GROUP_NOT_FOUND", "USER_NOT_FOUND_OR_INCORRECT"),
    ),
    Endpoint(
        method="GET",
        path="/market/short/list",
        surface="broker",
        tags=("market",),
        summary="Every symbol the account's group sees, as a table",
        tools=(
            Tool(
                name="quotes",
                title="Quotes of every symbol",
                description="Every symbol of the account's group with its last bid and ask, as a table.",
            ),
        ),
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=AccountRequest,
        command=subjects.SHORT_LIST,
        message=_assets,
        response=market.ShortList,
        errors=("GROUP_NOT_FOUND", "USER_NOT_FOUND_OR_INCORRECT"),
    ),
    Endpoint(
        method="GET",
        path="/market/symbol",
        surface="broker",
        tags=("market",),
        summary="One symbol with its analytics and sessions",
        tools=(Tool(name="symbol"),),
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=SymbolRequest,
        command=subjects.SYMBOL_INFO,
        message=_symbol,
        response=market.AssetInfo,
        errors=("RET_SYMBOL_NOT_FOUND", "SYMBOL_NOT_ALLOWED", "GROUP_NOT_FOUND"),
    ),
    Endpoint(
        method="GET",
        path="/quotes/candles",
        surface="broker",
        tags=("market",),
        summary="Candles on bid between two times",
        access=ANY_SESSION_OR_KEY,
        repeat="safe",
        request=CandlesRequest,
        command=subjects.CANDLES,
        message=_candles,
        response=market.CandleTable,
        errors=("RET_SYMBOL_NOT_FOUND",),
    ),
    Endpoint(
        method="GET",
        path="/market/watch/list",
        surface="broker",
        tags=("market watch",),
        summary="The account's market watch",
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=WatchListRequest,
        command=subjects.WATCH_LIST,
        message=_watch_list,
        response=market.WatchList,
    ),
    Endpoint(
        method="POST",
        path="/market/watch",
        surface="broker",
        tags=("market watch",),
        summary="Put a symbol on the market watch; twice is fine",
        access=ACCOUNT_OF_ANY,
        repeat="idempotent",
        request=SymbolRequest,
        command=subjects.WATCH_ADD,
        message=_watch_add,
        response=market.WatchAdded,
        errors=("RET_SYMBOL_NOT_FOUND", "INVALID_ADD_SYMBOL_TO_MARKET_WATCH"),
    ),
    Endpoint(
        method="PUT",
        path="/market/watch",
        surface="broker",
        tags=("market watch",),
        summary="Change place or colour of a watched symbol",
        access=ACCOUNT_OF_ANY,
        repeat="idempotent",
        request=WatchUpdateRequest,
        command=subjects.WATCH_UPDATE,
        message=_watch_update,
        response=house.Done,
        errors=("MARKET_WATCH_SYMBOL_NOT_FOUND",),
    ),
    Endpoint(
        method="DELETE",
        path="/market/watch",
        surface="broker",
        tags=("market watch",),
        summary="Take a symbol off the market watch; an absent one is fine",
        access=ACCOUNT_OF_ANY,
        repeat="idempotent",
        request=SymbolRequest,
        command=subjects.WATCH_REMOVE,
        message=_watch_remove,
        response=house.Done,
    ),
)

ALERTS = (
    Endpoint(
        method="GET",
        path="/price_alert/list",
        surface="broker",
        tags=("price alerts",),
        summary="The account's price alerts",
        access=ACCOUNT_OF_OWNER,
        repeat="safe",
        request=AccountRequest,
        command=subjects.ALERT_LIST,
        message=_alerts,
        response=alerts.AlertTable,
        tools=(Tool(name="alerts_list", open_world=False),),
    ),
    Endpoint(
        method="POST",
        path="/price_alert",
        surface="broker",
        tags=("price alerts",),
        summary="Arm a price alert",
        access=ACCOUNT_OF_OWNER,
        repeat="key",
        request=AlertCreateRequest,
        command=subjects.ALERT_CREATE,
        message=_alert_create,
        response=alerts.AlertIds,
        errors=_ALERT_ERRORS,
        tools=(
            Tool(
                name="alert_create",
                description=(
                    "Arm a price alert. side: 0 bid, 1 ask. condition: 0 crosses target_price upwards, 1 "
                    "downwards, 12 either way; 2 is above it, 3 below; the others stand in the documentation."
                    " repeat_mode 0: once, 1: each time."
                ),
            ),
        ),
    ),
    Endpoint(
        method="PUT",
        path="/price_alert",
        surface="broker",
        tags=("price alerts",),
        summary="Change a price alert, or arm it again with status 0",
        access=ACCOUNT_OF_OWNER,
        repeat="idempotent",
        request=AlertUpdateRequest,
        command=subjects.ALERT_UPDATE,
        message=_alert_update,
        response=alerts.AlertIds,
        errors=(*_ALERT_ERRORS, "NOT_FOUND"),
    ),
    Endpoint(
        method="DELETE",
        path="/price_alert/{id}",
        surface="broker",
        tags=("price alerts",),
        summary="Remove a price alert",
        access=ACCOUNT_OF_OWNER,
        repeat="idempotent",
        request=AlertDeleteRequest,
        command=subjects.ALERT_DELETE,
        message=_alert_delete,
        response=alerts.AlertIds,
        errors=("NOT_FOUND",),
        tools=(Tool(name="alert_delete", open_world=False),),
    ),
    Endpoint(
        method="GET",
        path="/price_alert/logs",
        surface="broker",
        tags=("price alerts",),
        summary="What fired, newest first",
        access=ACCOUNT_OF_OWNER,
        repeat="safe",
        request=AlertLogsRequest,
        command=subjects.ALERT_LOG_LIST,
        message=_alert_logs,
        response=alerts.AlertLogTable,
        tools=(
            Tool(
                name="alerts_fired",
                description="Price alerts that fired, newest first. Ask again to hear of new ones.",
                open_world=False,
            ),
        ),
    ),
    Endpoint(
        method="DELETE",
        path="/price_alert/log/{id}",
        surface="broker",
        tags=("price alerts",),
        summary="Take one row of the alert log away",
        access=ACCOUNT_OF_OWNER,
        repeat="idempotent",
        request=AlertDeleteRequest,
        command=subjects.ALERT_LOG_DELETE,
        message=_alert_log_delete,
        response=alerts.AlertIds,
        errors=("NOT_FOUND",),
    ),
    Endpoint(
        method="DELETE",
        path="/price_alert/logs",
        surface="broker",
        tags=("price alerts",),
        summary="Take the whole alert log away",
        access=ACCOUNT_OF_OWNER,
        repeat="idempotent",
        request=AccountRequest,
        command=subjects.ALERT_LOG_CLEAR,
        message=_alert_log_clear,
        response=house.Done,
    ),
)

ROWS = (*SIGN, *MARKET, *ALERTS)
