"""Signing keys: who signs, who is public, and what a rotation changes.

A ring has one ``active`` key that signs, one ``next`` key that is already public, so that every reader
of the key set knows it before it signs, and ``retiring`` keys that stay public until the last token they
signed has expired.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.common.tokens import ALGORITHM
from services.auth.sealing import Sealer


class KeyState(StrEnum):
    """Where a key is in its life."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as it is kept: the private half sealed, ``public`` the 32 raw bytes."""

    kid: str
    state: KeyState
    public: bytes
    sealed: bytes
    created_ms: int
    retired_ms: int = 0

    def jwk(self) -> dict[str, Any]:
        """The public half as RFC 8037 writes it."""
        x = base64.urlsafe_b64encode(self.public).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "alg": ALGORITHM, "use": "sig"}

    def public_key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.public)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The opened active key."""

    kid: str
    private: Ed25519PrivateKey


def make_key(seed: str, sealing: str, sealer: Sealer, state: KeyState, now_ms: int) -> StoredKey:
    """A new key from two fresh tokens: ``seed`` decides the key, ``sealing`` the nonce it is sealed with."""
    raw = hashlib.sha256(seed.encode()).digest()
    public = Ed25519PrivateKey.from_private_bytes(raw).public_key()
    public_raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    kid = base64.urlsafe_b64encode(hashlib.sha256(public_raw).digest()[:12]).decode()
    sealed = sealer.seal(raw, context=_context(kid), entropy=sealing)
    return StoredKey(kid, state, public_raw, sealed, now_ms)


def open_key(stored: StoredKey, sealer: Sealer) -> SigningKey:
    """The private half; SealBroken under another secret."""
    raw = sealer.open(stored.sealed, context=_context(stored.kid))
    return SigningKey(stored.kid, Ed25519PrivateKey.from_private_bytes(raw))


def _context(kid: str) -> str:
    return f"signing key {kid}"


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation does: who signs from now on, who stops, which states are still missing a key."""

    activate: str | None
    retire: str | None
    missing: tuple[KeyState, ...]


def plan_rotation(ring: Sequence[StoredKey]) -> Rotation:
    """The next key becomes active, the active one retires, a new next one is made."""
    active = [k.kid for k in ring if k.state is KeyState.ACTIVE]
    waiting = [k.kid for k in ring if k.state is KeyState.NEXT]
    if not active or not waiting:
        return Rotation(None, None, missing_states(ring))
    return Rotation(waiting[0], active[0], (KeyState.NEXT,))


def missing_states(ring: Sequence[StoredKey]) -> tuple[KeyState, ...]:
    """Which of active and next the ring lacks."""
    held = {k.state for k in ring}
    return tuple(state for state in (KeyState.ACTIVE, KeyState.NEXT) if state not in held)


def outlived(ring: Sequence[StoredKey], *, now_ms: int, token_ms_max: int) -> tuple[str, ...]:
    """The retiring keys whose last token has expired."""
    return tuple(k.kid for k in ring if k.state is KeyState.RETIRING and k.retired_ms + token_ms_max < now_ms)
