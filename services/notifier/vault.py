"""What must not be readable in the database, under the notifier's own key. Pure.

Addresses of people and mails not sent yet are sealed (AES-256-GCM, bound to their place); secrets of webhooks
are not stored at all but made from the key, so a rotation is a number that grows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

NONCE_BYTES = 12
KEY_CHARS_MIN = 32


class SealBroken(Exception):
    """The value was sealed under another key, for another place, or was changed."""


class KeyTooShort(Exception):
    """The key has fewer characters than 128 bits in hex."""


class Vault:
    """Everything made from one key. The key is text: base64, hex or a long phrase."""

    def __init__(self, key: str) -> None:
        if len(key.strip()) < KEY_CHARS_MIN:
            raise KeyTooShort(f"it needs at least {KEY_CHARS_MIN} characters")
        self._key = key.strip().encode()

    def seal(self, value: bytes, *, context: str, entropy: str) -> bytes:
        """``entropy`` is a fresh unguessable token; it decides the nonce and must never be used twice."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = hashlib.sha256(entropy.encode()).digest()[:NONCE_BYTES]
        return nonce + AESGCM(self._derived("seal")).encrypt(nonce, value, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """The value; SealBroken when it is not what this key sealed for ``context``."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            cipher = AESGCM(self._derived("seal"))
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as e:
            raise SealBroken(context) from e

    def fingerprint(self, channel: str, target: str) -> str:
        """The same for the same address, and telling nothing of it."""
        told = hmac.new(self._derived("fingerprint"), f"{channel}\n{target}".encode(), hashlib.sha256)
        return told.hexdigest()[:32]

    def webhook_secret(self, recipient_id: int, generation: int) -> str:
        """The signing secret of a webhook, in the form of Standard Webhooks."""
        label = f"webhook {recipient_id} {generation}"
        return "whsec_" + base64.b64encode(self._derived(label)).decode()

    def _derived(self, label: str) -> bytes:
        return hmac.new(self._key, f"tradewind notifier v1 {label}".encode(), hashlib.sha256).digest()
