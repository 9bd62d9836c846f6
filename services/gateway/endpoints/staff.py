"""Admin rows about people: accounts, persons, staff, signing keys, the audit chain's check.

Rights by kind of staff: MANAGER changes accounts and customers; signing in as an account, staff, tiers and
keys are for ADMIN alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common import subjects
from libs.common.messages import auth
from services.gateway.endpoints import identity_requests as requests
from services.gateway.endpoints.admin import READERS, USERS
from services.gateway.endpoints.row import ADMIN_ONLY, Caller, Endpoint
from services.gateway.times import read_iso


def _account(request: requests.LoginRequest, caller: Caller) -> auth.AccountAsk:
    return auth.AccountAsk(login=request.login)


def _user_update(request: requests.UserUpdateRequest, caller: Caller) -> auth.UserUpdate:
    return auth.UserUpdate(**msgspec.structs.asdict(request))


def _sso(request: requests.LoginRequest, caller: Caller) -> auth.SsoAsk:
    return auth.SsoAsk(login=request.login, ip=caller.principal.address)


def _person(request: requests.PersonRequest, caller: Caller) -> auth.PersonName:
    return auth.PersonName(customer_id=request.customerId, email=request.email)


def _customer_update(request: requests.CustomerUpdateRequest, caller: Caller) -> auth.PersonSet:
    return auth.PersonSet(customer_id=request.customerId, email=request.email, enable=request.enable)


def _tier(request: requests.TierRequest, caller: Caller) -> auth.PersonSet:
    return auth.PersonSet(
        customer_id=request.customerId,
        email=request.email,
        tier=request.tier,
        tier_until_ms=_until_ms(request.expiresAt),
    )


def _until_ms(given: str | int | None) -> int:
    if given is None:
        return 0
    if isinstance(given, int):
        return given if given >= 10**11 else given * 1000  # seconds, unless it can only be milliseconds
    return read_iso("expiresAt", given)


def _staff_add(request: requests.StaffAddRequest, caller: Caller) -> auth.StaffAdd:
    return auth.StaffAdd(
        name=request.name,
        password=request.password,
        type=request.type,
        email=request.email or "",
        login=request.login,
    )


def _staff_update(request: requests.StaffUpdateRequest, caller: Caller) -> auth.StaffUpdate:
    return auth.StaffUpdate(**msgspec.structs.asdict(request))


def _nothing(message: Any) -> Any:
    return lambda request, caller: message()


def _row(**row: Any) -> Endpoint:
    return Endpoint(surface="admin", tags=("admin",), audited=row["method"] != "GET", **row)


ROWS = (
    _row(
        method="GET",
        path="/admin/users/{login}",
        summary="A trading account's profile and flags",
        access=READERS,
        repeat="safe",
        request=requests.LoginRequest,
        command=subjects.ACCOUNT_OF,
        message=_account,
        response=auth.Account,
        errors=("USER_NOT_FOUND_OR_INCORRECT",),
    ),
    _row(
        method="PUT",
        path="/admin/users/{login}",
        summary="Change an account; sessions that carry what is no longer so end",
        access=USERS,
        repeat="idempotent",
        request=requests.UserUpdateRequest,
        command=subjects.USER_UPDATE,
        message=_user_update,
        response=auth.Account,
        revokes=True,
        changes_account=True,
        errors=("RET_USER_NOT_FOUND", "GROUP_NOT_FOUND"),
    ),
    _row(
        method="POST",
        path="/admin/sso",
        summary="A sign-in object of an account, to open its terminal",
        access=ADMIN_ONLY,
        repeat="key",
        request=requests.LoginRequest,
        command=subjects.SSO,
        message=_sso,
        response=auth.SignedIn,
        errors=("USER_NOT_FOUND_OR_INCORRECT", "GROUP_NOT_FOUND", "USER_DISABLED", "INVALID_MARGIN_LEVEL"),
    ),
    _row(
        method="GET",
        path="/admin/customers",
        summary="A person by id or e-mail",
        access=READERS,
        repeat="safe",
        request=requests.PersonRequest,
        command=subjects.PERSON_FIND,
        message=_person,
        response=auth.PersonView,
        errors=("RET_USER_NOT_FOUND",),
    ),
    _row(
        method="PUT",
        path="/admin/customers",
        summary="Let a person in, or keep it out of every door",
        access=USERS,
        repeat="idempotent",
        request=requests.CustomerUpdateRequest,
        command=subjects.PERSON_SET,
        message=_customer_update,
        changes_person=True,
        response=auth.PersonView,
        revokes=True,
        errors=("RET_USER_NOT_FOUND",),
    ),
    _row(
        method="POST",
        path="/admin/tier",
        summary="Set a person's tier",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=requests.TierRequest,
        command=subjects.PERSON_SET,
        message=_tier,
        changes_person=True,
        response=auth.PersonView,
        errors=("RET_USER_NOT_FOUND",),
    ),
    _row(
        method="GET",
        path="/admin/staff",
        summary="Every member of staff",
        access=ADMIN_ONLY,
        repeat="safe",
        command=subjects.STAFF_LIST,
        message=_nothing(auth.StaffAsk),
        response=auth.StaffList,
    ),
    _row(
        method="POST",
        path="/admin/staff",
        summary="Add a manager, a dealer or an administrator",
        access=ADMIN_ONLY,
        repeat="key",
        request=requests.StaffAddRequest,
        command=subjects.STAFF_ADD,
        message=_staff_add,
        response=auth.StaffView,
        errors=("RET_USR_LOGIN_EXIST",),
    ),
    _row(
        method="PUT",
        path="/admin/staff/{login}",
        summary="Change a member of staff; the last administrator stays one",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=requests.StaffUpdateRequest,
        command=subjects.STAFF_UPDATE,
        message=_staff_update,
        response=auth.StaffView,
        revokes=True,
        errors=("RET_USER_NOT_FOUND",),
    ),
    _row(
        method="POST",
        path="/admin/keys/rotate",
        summary="Let the next signing key sign from now on",
        access=ADMIN_ONLY,
        repeat="key",
        command=subjects.KEY_ROTATE,
        message=_nothing(auth.KeyRotate),
        response=auth.KeyRotated,
    ),
    _row(
        method="GET",
        path="/admin/audit/check",
        summary="Follow the audit log's chain of hashes",
        access=ADMIN_ONLY,
        repeat="safe",
        command=subjects.AUDIT_VERIFY,
        message=_nothing(auth.AuditVerify),
        response=auth.AuditChecked,
    ),
)
