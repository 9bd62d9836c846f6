"""Broker rows about people: passwords, customers and their one-time codes, scripts, settings."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common import subjects
from libs.common.messages import auth, auth_people, house
from libs.common.principal import STAFF, SessionType
from services.gateway.accounts import account_named
from services.gateway.endpoints import identity_requests as requests
from services.gateway.endpoints.broker import SIGN_INS, SIGN_UPS
from services.gateway.endpoints.broker_requests import AccountRequest
from services.gateway.endpoints.row import (
    ACCOUNT_OF_ANY,
    KIB,
    PUBLIC,
    USER,
    Access,
    Caller,
    Endpoint,
)
from services.gateway.errors import NotEnoughRights

CUSTOMER = Access(frozenset({SessionType.CUSTOMER}))
SCRIPT_BYTES = 512 * KIB  # 128 Ki characters, escaped
SETTINGS_BYTES = 160 * KIB  # the settings' own limit is auth's to say


def _password(request: requests.PasswordRequest, caller: Caller) -> auth.PasswordChange:
    principal = caller.principal
    return auth.PasswordChange(
        login=account_named(principal, request.login),
        actor=principal.login or 0,
        session_type=principal.session_type,
        password=request.password,
        new_password=request.new_password,
        investor=request.investor,
        read_only=principal.read_only,
        ip=principal.address,
    )


def _register(request: requests.RegistrationRequest, caller: Caller) -> auth_people.CustomerRegister:
    return auth_people.CustomerRegister(**msgspec.structs.asdict(request), ip=caller.principal.address)


def _login(request: requests.CustomerLoginRequest, caller: Caller) -> auth_people.CustomerLogin:
    return auth_people.CustomerLogin(**msgspec.structs.asdict(request), ip=caller.principal.address)


def _customer(request: Any, caller: Caller) -> auth_people.CustomerAsk:
    return auth_people.CustomerAsk(customer_id=caller.principal.person_id or 0)


def _account_open(
    request: requests.CustomerAccountRequest, caller: Caller
) -> auth_people.CustomerAccountOpen:
    return auth_people.CustomerAccountOpen(
        customer_id=caller.principal.person_id or 0,
        leverage=request.leverage,
        currency=request.currency,
        ip=caller.principal.address,
    )


def _otp_set(request: requests.OtpSetRequest, caller: Caller) -> auth_people.OtpSet:
    return auth_people.OtpSet(
        customer_id=caller.principal.person_id or 0,
        secret=request.secret,
        code=request.code,
        current_code=request.current_code,
        ip=caller.principal.address,
    )


def _otp_check(request: requests.OtpCheckRequest, caller: Caller) -> auth_people.OtpCheck:
    return auth_people.OtpCheck(
        customer_id=caller.principal.person_id or 0, code=request.code, ip=caller.principal.address
    )


def _scripts(request: AccountRequest, caller: Caller) -> auth_people.ScriptListAsk:
    return auth_people.ScriptListAsk(login=caller.login)


def _script(request: requests.ScriptIdRequest, caller: Caller) -> auth_people.ScriptAsk:
    principal = caller.principal
    return auth_people.ScriptAsk(id=request.id, logins=principal.logins, staff=principal.is_staff)


def _refuse_reader(caller: Caller) -> None:
    """A read-only session looks at what its owner keeps and changes none of it."""
    if caller.principal.read_only:
        raise NotEnoughRights


def _script_add(request: requests.ScriptAddRequest, caller: Caller) -> auth_people.ScriptAdd:
    _refuse_reader(caller)
    return auth_people.ScriptAdd(**{**msgspec.structs.asdict(request), "login": caller.login})


def _script_update(request: requests.ScriptUpdateRequest, caller: Caller) -> auth_people.ScriptUpdate:
    _refuse_reader(caller)
    given = {**msgspec.structs.asdict(request), "login": caller.login}
    return auth_people.ScriptUpdate(**given, staff=caller.principal.is_staff)


def _script_delete(request: requests.ScriptIdRequest, caller: Caller) -> auth_people.ScriptAsk:
    _refuse_reader(caller)
    return _script(request, caller)


def _settings(request: requests.SettingsRequest, caller: Caller) -> auth_people.SettingsAsk:
    return auth_people.SettingsAsk(login=caller.login, prefix=request.prefix)


def _settings_put(request: requests.SettingsPutRequest, caller: Caller) -> auth_people.SettingsPut:
    _refuse_reader(caller)
    return auth_people.SettingsPut(
        login=caller.login,
        settings=request.settings,
        prefix=request.prefix,
        origin=caller.principal.jti,
    )


_CUSTOMER_ERRORS = (
    "CUSTOMER_NOT_FOUND_OR_INCORRECT",
    "CUSTOMER_DISABLED",
    "OTP_REQUIRED",
    "INVALID_OTP_CODE",
    "OTP_NOT_CONFIGURED",
    "RET_TOO_FREQUENT",
)

PASSWORD = Endpoint(
    method="PUT",
    path="/account/password",
    surface="broker",
    tags=("account",),
    summary="Change the password, which opens every door; every session it opened ends",
    description='Staff names the account and gives the new password; the answer is then `{"login":"OK"}`.',
    access=Access(USER | STAFF),
    repeat="idempotent",
    request=requests.PasswordRequest,
    command=subjects.PASSWORD_CHANGE,
    message=_password,
    response=auth.PasswordChanged,
    body_bytes_max=16 * KIB,
    limits=(SIGN_INS,),
    revokes=True,
    audited=True,
    errors=("UPDATE_PASSWORD_ERROR", "RET_NOT_ENOUGH_RIGHTS", "RET_USER_NOT_FOUND", "RET_TOO_FREQUENT"),
)

CUSTOMERS = (
    Endpoint(
        method="POST",
        path="/customer/registration",
        surface="broker",
        tags=("customer",),
        summary="Register a person, with a demo account",
        access=PUBLIC,
        repeat="key",
        request=requests.RegistrationRequest,
        command=subjects.CUSTOMER_REGISTER,
        message=_register,
        response=auth_people.CustomerRegistered,
        body_bytes_max=16 * KIB,
        limits=(SIGN_UPS,),
        errors=("DUPLICATE_RECORD", "PERMISSION_DENIED"),
    ),
    Endpoint(
        method="POST",
        path="/customer/auth/login",
        surface="broker",
        tags=("customer",),
        summary="Sign in as a person who owns several accounts",
        access=PUBLIC,
        repeat="idempotent",
        request=requests.CustomerLoginRequest,
        command=subjects.CUSTOMER_LOGIN,
        message=_login,
        response=auth_people.CustomerIn,
        body_bytes_max=16 * KIB,
        limits=(SIGN_INS,),
        starts_session=True,
        errors=_CUSTOMER_ERRORS,
    ),
    Endpoint(
        method="GET",
        path="/customer/session/accounts",
        surface="broker",
        tags=("customer",),
        summary="The accounts this customer may name",
        access=CUSTOMER,
        repeat="safe",
        command=subjects.CUSTOMER_ACCOUNTS,
        message=_customer,
        response=auth_people.CustomerAccounts,
    ),
    Endpoint(
        method="POST",
        path="/customer/accounts",
        surface="broker",
        tags=("customer",),
        summary="Open a further account; the answer's token may name it",
        access=CUSTOMER,
        repeat="key",
        request=requests.CustomerAccountRequest,
        command=subjects.CUSTOMER_ACCOUNT_OPEN,
        message=_account_open,
        response=auth_people.CustomerAccountOpened,
        starts_session=True,
        errors=("GROUP_NOT_FOUND", "PERMISSION_DENIED"),
    ),
    Endpoint(
        method="GET",
        path="/customer/auth/otp",
        surface="broker",
        tags=("customer",),
        summary="A fresh secret for an authenticator app; nothing is switched on",
        access=CUSTOMER,
        repeat="safe",
        command=subjects.OTP_OFFER,
        message=_customer,
        response=auth_people.OtpOffer,
    ),
    Endpoint(
        method="PUT",
        path="/customer/auth/otp",
        surface="broker",
        tags=("customer",),
        summary="Ask for one-time codes from now on",
        access=CUSTOMER,
        repeat="idempotent",
        request=requests.OtpSetRequest,
        command=subjects.OTP_SET,
        message=_otp_set,
        response=auth_people.OtpState,
        errors=("INVALID_OTP_CODE", "RET_TOO_FREQUENT"),
    ),
    Endpoint(
        method="POST",
        path="/customer/auth/otp/check",
        surface="broker",
        tags=("customer",),
        summary="Whether a one-time code is right now",
        access=CUSTOMER,
        repeat="idempotent",
        request=requests.OtpCheckRequest,
        command=subjects.OTP_CHECK,
        message=_otp_check,
        response=house.Done,
        errors=("INVALID_OTP_CODE", "OTP_NOT_CONFIGURED", "RET_TOO_FREQUENT"),
    ),
)

_SCRIPT_OF_ANY = Access(ACCOUNT_OF_ANY.sessions)

SCRIPTS = (
    Endpoint(
        method="GET",
        path="/scripts",
        surface="broker",
        tags=("scripts",),
        summary="The account's scripts",
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=AccountRequest,
        command=subjects.SCRIPT_LIST,
        message=_scripts,
        response=auth_people.ScriptList,
        errors=("USER_NOT_FOUND_OR_INCORRECT",),
    ),
    Endpoint(
        method="GET",
        path="/script/{id}",
        surface="broker",
        tags=("scripts",),
        summary="One script; private ones are for their account and staff",
        access=_SCRIPT_OF_ANY,
        repeat="safe",
        request=requests.ScriptIdRequest,
        command=subjects.SCRIPT_GET,
        message=_script,
        response=auth_people.ScriptView,
        errors=("SCRIPT_NOT_FOUND",),
    ),
    Endpoint(
        method="POST",
        path="/script",
        surface="broker",
        tags=("scripts",),
        summary="Keep a script; it runs on the client",
        access=ACCOUNT_OF_ANY,
        repeat="key",
        request=requests.ScriptAddRequest,
        command=subjects.SCRIPT_ADD,
        message=_script_add,
        response=auth_people.ScriptSaved,
        body_bytes_max=SCRIPT_BYTES,
        audited=True,
        errors=("INVALID_ADD_SCRIPT", "USER_NOT_FOUND_OR_INCORRECT"),
    ),
    Endpoint(
        method="PUT",
        path="/script",
        surface="broker",
        tags=("scripts",),
        summary="Change a script",
        access=ACCOUNT_OF_ANY,
        repeat="idempotent",
        request=requests.ScriptUpdateRequest,
        command=subjects.SCRIPT_UPDATE,
        message=_script_update,
        response=auth_people.ScriptSaved,
        body_bytes_max=SCRIPT_BYTES,
        audited=True,
        errors=("SCRIPT_NOT_FOUND", "USER_NOT_FOUND_OR_INCORRECT"),
    ),
    *(
        Endpoint(
            method="DELETE",
            path=path,
            surface="broker",
            tags=("scripts",),
            summary="Remove a script",
            access=_SCRIPT_OF_ANY,
            repeat="idempotent",
            request=requests.ScriptIdRequest,
            command=subjects.SCRIPT_DELETE,
            message=_script_delete,
            response=house.Done,
            audited=True,
            errors=("SCRIPT_NOT_FOUND",),
        )
        for path in ("/script", "/script/{id}")
    ),
)

SETTINGS = (
    Endpoint(
        method="GET",
        path="/settings",
        surface="broker",
        tags=("settings",),
        summary="Settings a terminal keeps here, as they were put",
        access=ACCOUNT_OF_ANY,
        repeat="safe",
        request=requests.SettingsRequest,
        command=subjects.SETTINGS_GET,
        message=_settings,
        response=auth_people.Settings,
        errors=("USER_NOT_FOUND_OR_INCORRECT",),
    ),
    Endpoint(
        method="PUT",
        path="/settings",
        surface="broker",
        tags=("settings",),
        summary="Replace settings; the account's sessions hear of it",
        access=ACCOUNT_OF_ANY,
        repeat="idempotent",
        request=requests.SettingsPutRequest,
        command=subjects.SETTINGS_PUT,
        message=_settings_put,
        response=house.Done,
        body_bytes_max=SETTINGS_BYTES,
        audited=True,
        detail=lambda request: {"login": request.login, "prefix": request.prefix},
        errors=("USER_NOT_FOUND_OR_INCORRECT",),
    ),
)

ROWS = (PASSWORD, *CUSTOMERS, *SCRIPTS, *SETTINGS)
