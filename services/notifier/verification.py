"""One-time codes that prove that a channel's address belongs to who binds it. Pure."""

from __future__ import annotations

import hashlib
import re

CODE_CHARS = 8
CODE_MS = 15 * 60_000
TRIES_MAX = 5
# No letters or digits that are mistaken for each other.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE = re.compile(rf"[{_ALPHABET}]{{{CODE_CHARS}}}")
_START = re.compile(r"^/start(?:@\w+)?\s+", re.IGNORECASE)


def code_of(token: str) -> str:
    """A code from an unguessable token: 8 of 31 characters, 39 bits."""
    number = int.from_bytes(hashlib.sha256(token.encode()).digest())
    letters = []
    for _ in range(CODE_CHARS):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)


def read_code(text: str) -> str | None:
    """The code in what somebody typed or sent to a bot: any case, with dashes or spaces, after ``/start``."""
    folded = re.sub(r"[\s-]", "", _START.sub("", text.strip())).upper()
    return folded if _CODE.fullmatch(folded) else None


def code_hash(code: str) -> str:
    """What is stored of a code."""
    return hashlib.sha256(f"notifier code {code}".encode()).hexdigest()
