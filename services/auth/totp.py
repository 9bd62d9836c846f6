"""One-time codes of the customer door: TOTP (RFC 6238), SHA-1, six digits, thirty seconds, one step aside."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

import pyotp

from libs.common.errors import InvalidData

ALGORITHM: Final = "SHA1"
DIGITS: Final = 6
PERIOD_S: Final = 30
WINDOW: Final = 1  # steps before and after the current one
SECRET_BYTES: Final = 20
SECRET_BYTES_MIN: Final = 10
SECRET_CHARS_MAX: Final = 128


def make_secret(entropy: bytes) -> str:
    """A base32 secret from fresh random bytes."""
    return base64.b32encode(entropy[:SECRET_BYTES]).decode()


def read_secret(text: str) -> str:
    """A secret a customer's app was given; InvalidData unless it is base32 of at least 80 bits."""
    secret = text.replace(" ", "").rstrip("=").upper()
    if len(secret) > SECRET_CHARS_MAX:
        raise InvalidData("secret is too long")
    try:
        raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    except (binascii.Error, ValueError) as e:
        raise InvalidData("secret is not base32") from e
    if len(raw) < SECRET_BYTES_MIN:
        raise InvalidData("secret is too short")
    return secret


def provisioning_url(secret: str, email: str, issuer: str) -> str:
    """What an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret, digits=DIGITS, interval=PERIOD_S).provisioning_uri(
        name=email, issuer_name=issuer
    )


def step_of(secret: str, code: str, *, now_s: int) -> int | None:
    """The step (Unix time over 30) whose code this is, the newest within the window; None for none."""
    given = code.replace(" ", "")
    if len(given) != DIGITS or not given.isascii() or not given.isdigit():
        return None
    codes = pyotp.TOTP(secret, digits=DIGITS, interval=PERIOD_S)
    found: int | None = None
    current = now_s // PERIOD_S
    for step in range(current - WINDOW, current + WINDOW + 1):
        # Every step is compared, so the time does not tell which one fits.
        if step >= 0 and hmac.compare_digest(codes.generate_otp(step), given):
            found = step
    return found
