"""API keys: their form, what may be asked of one, and when it counts. Shown once, kept as SHA-256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from libs.common.clock import unix_ms
from libs.common.errors import InvalidData

SCOPES: Final = ("read", "scan", "trade", "admin")
MODES: Final = ("live", "test")
SCOPE_TIERS: Final = {"scan": "pro"}
RANDOM_CHARS: Final = 32
PREFIX_CHARS: Final = 12
IP_ALLOW_MAX: Final = 50
KEYS_MAX: Final = 50
NAME_CHARS_MAX: Final = 64
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM: Final = re.compile(r"tw_(live|test)_[0-9A-Za-z]{32}")
_YEAR_9999_MS: Final = 253_402_300_799_000


def make_key(entropy: str, mode: str) -> str:
    """``tw_live_`` or ``tw_test_`` and 32 characters (190 bits) from a fresh token."""
    number = int.from_bytes(hashlib.sha512(entropy.encode()).digest())
    made = []
    for _ in range(RANDOM_CHARS):
        number, place = divmod(number, 62)
        made.append(_BASE62[place])
    return f"tw_{mode}_{''.join(made)}"


def has_form(key: str) -> bool:
    """Whether this could be a key at all: what is not is refused without asking the database."""
    return _FORM.fullmatch(key) is not None


def prefix_of(key: str) -> str:
    """What is shown of a key later."""
    return key[:PREFIX_CHARS]


def read_scopes(scopes: Sequence[str] | None) -> tuple[str, ...]:
    """The scopes asked for, in the order of power; default read."""
    if scopes is None:
        return ("read",)
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidData(f"scopes are some of {', '.join(SCOPES)}", field="scopes", allowed=list(SCOPES))
    return tuple(scope for scope in SCOPES if scope in scopes)


def read_mode(mode: str | None) -> str:
    """live or test; default live."""
    if mode is None:
        return "live"
    if mode not in MODES:
        raise InvalidData("mode is live or test", field="mode", allowed=list(MODES))
    return mode


def read_ip_allow(networks: Sequence[str] | None) -> tuple[str, ...]:
    """Addresses and networks from which a key counts; none is everywhere."""
    given = tuple(networks or ())
    if len(given) > IP_ALLOW_MAX:
        raise InvalidData(f"ip_allow has at most {IP_ALLOW_MAX} entries", field="ip_allow")
    return tuple(str(_network(text)) for text in given)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError as e:
        raise InvalidData("ip_allow holds addresses and networks", field="ip_allow") from e


def read_expiry(text: str | None, now_ms: int) -> int:
    """The end of a key in Unix ms, 0 for none. ``text`` is ISO 8601 with its offset; it must lie ahead."""
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise InvalidData("expires_at is a time in ISO 8601", field="expires_at") from e
    if moment.tzinfo is None:
        raise InvalidData("expires_at has no offset from UTC", field="expires_at")
    try:
        expires_ms = unix_ms(moment.astimezone(UTC))
    except OverflowError as e:
        raise InvalidData("expires_at is out of range", field="expires_at") from e
    if not now_ms < expires_ms <= _YEAR_9999_MS:
        raise InvalidData("expires_at must be in the future", field="expires_at")
    return expires_ms


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. ``person_id`` is none for a key made by e-mail alone."""

    key_id: str
    person_id: int | None
    email_key: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    mode: str
    ip_allow: tuple[str, ...]
    created_ms: int
    expires_ms: int
    last_used_ms: int
    revoked_ms: int
    client_id: str = ""  # the OAuth client it was given to
    resource: str = ""  # the only resource it counts for; "" for everything

    def counts(self, *, now_ms: int, address: str) -> bool:
        """Whether it opens a door now, from here."""
        if self.revoked_ms or (self.expires_ms and now_ms >= self.expires_ms):
            return False
        return allows(self.ip_allow, address)

    @property
    def rights(self) -> frozenset[str]:
        """What it may do: a test key never trades, whatever it was made with."""
        return frozenset(self.scopes) - ({"trade"} if self.mode == "test" else frozenset())


def allows(networks: Sequence[str], address: str) -> bool:
    """Whether an address is in the list; an empty list allows everywhere."""
    if not networks:
        return True
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in ip_network(network) for network in networks)
