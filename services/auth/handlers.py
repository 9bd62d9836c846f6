"""One function per subject: what the message asks of the service."""

from __future__ import annotations

from typing import Any

from libs.common import subjects
from libs.common.bus import Call, Handler
from libs.common.messages.auth import (
    Account,
    AccountAsk,
    AuditAppend,
    AuditAsk,
    AuditChecked,
    AuditPage,
    AuditRow,
    AuditVerify,
    JsonWebKeys,
    KeyRotate,
    KeyRotated,
    KeysAsk,
    SignCheck,
    SignedIn,
    SignIn,
    SignUp,
    UserAdd,
    UserAdded,
)
from libs.common.subjects import Command
from services.auth.auditing import Auditor
from services.auth.keyring import KeyRing
from services.auth.service import AuthService


def handlers_of(
    service: AuthService, auditor: Auditor, keyring: KeyRing
) -> list[tuple[Command[Any, Any], Handler]]:
    """Every command auth answers."""

    async def sign_up(message: SignUp, call: Call) -> SignedIn:
        return await service.sign_up(message)

    async def sign_in(message: SignIn, call: Call) -> SignedIn:
        return await service.sign_in(message)

    async def sign_check(message: SignCheck, call: Call) -> SignedIn:
        return await service.sign_check(message)

    async def user_add(message: UserAdd, call: Call) -> UserAdded:
        return await service.add_user(message)

    async def account_of(message: AccountAsk, call: Call) -> Account:
        return await service.account_of(message)

    async def keys_public(message: KeysAsk, call: Call) -> JsonWebKeys:
        return JsonWebKeys(keys=keyring.jwks())

    async def key_rotate(message: KeyRotate, call: Call) -> KeyRotated:
        return KeyRotated(kid=await keyring.rotate())

    async def audit_append(message: AuditAppend, call: Call) -> AuditRow:
        return await auditor.append(message)

    async def audit_list(message: AuditAsk, call: Call) -> AuditPage:
        return await auditor.page(message)

    async def audit_verify(message: AuditVerify, call: Call) -> AuditChecked:
        return await auditor.verify()

    return [
        (subjects.SIGN_UP, sign_up),
        (subjects.SIGN_IN, sign_in),
        (subjects.SIGN_CHECK, sign_check),
        (subjects.USER_ADD, user_add),
        (subjects.ACCOUNT_OF, account_of),
        (subjects.KEYS_PUBLIC, keys_public),
        (subjects.KEY_ROTATE, key_rotate),
        (subjects.AUDIT_APPEND, audit_append),
        (subjects.AUDIT_LIST, audit_list),
        (subjects.AUDIT_VERIFY, audit_verify),
    ]
