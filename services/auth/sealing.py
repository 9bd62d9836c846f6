"""Secrets at rest: AES-256-GCM under a key derived from the operator's secret.

A sealed value is ``nonce ‖ ciphertext ‖ tag``; its ``context`` (what it is and whose) is authenticated, so
a value can't be moved to another row.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
SECRET_CHARS_MIN = 32


class SealBroken(Exception):
    """The value was sealed under another key, for another place, or was changed."""


class SecretTooShort(Exception):
    """The operator's secret has fewer characters than a key of 128 bits in hex."""


class Sealer:
    """Seals and opens under one secret. The secret is text: base64, hex or a long phrase."""

    def __init__(self, secret: str) -> None:
        if len(secret.strip()) < SECRET_CHARS_MIN:
            raise SecretTooShort(f"it needs at least {SECRET_CHARS_MIN} characters")
        derived = HKDF(SHA256(), 32, salt=None, info=b"tradewind auth sealing v1").derive(
            secret.strip().encode()
        )
        self._cipher = AESGCM(derived)
        self._hash_key = HKDF(SHA256(), 32, salt=None, info=b"tradewind auth hashing v1").derive(
            secret.strip().encode()
        )

    def keyed_hash(self, value: bytes, *, context: str) -> bytes:
        """32 bytes that tell nobody without the secret what ``value`` was, however few values are likely."""
        return hmac.digest(self._hash_key, context.encode() + b"\0" + value, "sha256")

    def seal(self, value: bytes, *, context: str, entropy: str) -> bytes:
        """``entropy`` is a fresh unguessable token; it decides the nonce and must never be used twice."""
        nonce = hashlib.sha256(entropy.encode()).digest()[:NONCE_BYTES]
        return nonce + self._cipher.encrypt(nonce, value, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """The value; SealBroken when it is not what this secret sealed for ``context``."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as e:
            raise SealBroken(context) from e
