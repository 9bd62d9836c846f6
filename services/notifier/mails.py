"""Mails other services have sent: which kinds there are, what each needs, and to whom. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from libs.common.errors import InvalidData
from libs.common.messages.notifier import MailSend

ADDRESS_CHARS_MAX = 254
FIELD_CHARS_MAX = 2000
VALID_S_MAX = 7 * 86_400
# Kind → the fields it can't do without.
KINDS: Mapping[str, frozenset[str]] = {
    "verify_email": frozenset({"code", "minutes"}),
    "reset_password": frozenset({"code", "minutes"}),
    "password_changed": frozenset({"time_ms"}),
    "receipt": frozenset({"plan", "amount", "currency"}),
}
# One address: nothing that could end a header or name a second one.
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}@[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,190}")
_ID = re.compile(r"[\x21-\x7e]{1,128}")


def read_address(text: str) -> str:
    """A mail address that can stand in a header; InvalidData when it can't."""
    address = text.strip()
    if len(address) > ADDRESS_CHARS_MAX or not _ADDRESS.fullmatch(address):
        raise InvalidData("to is not a mail address")
    return address


def check(mail: MailSend) -> None:
    """Refuse a mail that could not be written or told from another one."""
    if not _ID.fullmatch(mail.id):
        raise InvalidData("id has 1 to 128 printable characters")
    needed = KINDS.get(mail.kind)
    if needed is None:
        raise InvalidData(f"kind is one of {', '.join(KINDS)}")
    missing = sorted(name for name in needed if not mail.fields.get(name))
    if missing:
        raise InvalidData(f"{mail.kind} needs {', '.join(missing)}")
    if any(len(value) > FIELD_CHARS_MAX for value in mail.fields.values()):
        raise InvalidData(f"a field has at most {FIELD_CHARS_MAX} characters")
    if not 1 <= mail.valid_s <= VALID_S_MAX:
        raise InvalidData(f"valid_s is between 1 and {VALID_S_MAX}")


def masked(address: str) -> str:
    """An address as it may be shown: ``a***@example.com``."""
    local, _, domain = address.partition("@")
    return f"{local[:1]}***@{domain}"
