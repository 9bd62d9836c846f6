"""Passwords and keys of one stack: made at the first start, kept in the data folder for its owner's eyes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.errors import StartRefused
from deploy.local.files import write_private


@dataclass(slots=True)
class Keys:
    """What ``secrets.json`` holds.

    ``admin_pending`` is the generated password of staff login 1 from the first start until it was shown;
    afterwards only its hash in auth's schema is left.
    """

    stack_id: str
    postgres: str
    services: dict[str, str] = field(default_factory=dict)
    nats: dict[str, str] = field(default_factory=dict)
    admin_pending: str | None = None


def load_keys(data: Path, *, services: Sequence[str], nats_users: Sequence[str], admin_given: bool) -> Keys:
    """The stack's keys, with a password for every service and NATS user; what is missing is made and kept.

    ``admin_given``: the operator set the admin password, so none is generated at the first start.
    """
    path = data / "secrets.json"
    keys = _read(path)
    if keys is None:
        if (data / "postgres").exists():
            raise StartRefused(
                f"{path} is missing but {data / 'postgres'} exists: restore it from your backup, "
                "or choose another --data-dir"
            )
        keys = Keys(stack_id=secrets.token_hex(8), postgres=_password())
        keys.admin_pending = None if admin_given else secrets.token_urlsafe(12)
    for known, wanted in ((keys.services, services), (keys.nats, nats_users)):
        for name in wanted:
            known.setdefault(name, _password())
    save_keys(data, keys)
    return keys


def save_keys(data: Path, keys: Keys) -> None:
    """Replace ``secrets.json`` at once."""
    write_private(data / "secrets.json", json.dumps(asdict(keys), indent=2) + "\n")


def load_secret_key(data: Path) -> str:
    """The key that encrypts auth's signing keys: 32 random bytes in hex, in ``secret.key``.

    Call it before ``load_keys``: a stack that has its passwords but not its key has lost it.
    """
    path = data / "secret.key"
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        if (data / "secrets.json").exists():
            raise StartRefused(
                f"{path} is missing: restore it from your backup, or set TRADEWIND_SECRET_KEY as before"
            ) from None
        text = secrets.token_hex(32)
        write_private(path, text + "\n")
    except (OSError, UnicodeDecodeError) as e:
        raise StartRefused(f"{path} can't be read ({e}): restore it from your backup") from e
    if len(text) < 32:
        raise StartRefused(f"{path} is too short to be a key: restore it from your backup")
    return text


def _read(path: Path) -> Keys | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Keys(**found)
    except FileNotFoundError:
        return None
    except PermissionError as e:
        raise StartRefused(
            f"{path} belongs to another user: run as that user, or choose another --data-dir"
        ) from e
    except (OSError, ValueError, TypeError) as e:
        raise StartRefused(f"{path} can't be read ({e}): restore it from your backup") from e


def _password() -> str:
    return secrets.token_urlsafe(24)
