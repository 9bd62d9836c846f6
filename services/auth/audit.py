"""The audit chain: each row's hash covers the row and the hash before it.

Editing, removing or reordering a row breaks every hash after it. Canonical form: JSON with sorted keys,
no spaces, UTF-8, of every field of the row but ``hash``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from libs.common.errors import InvalidData
from libs.common.messages.auth import AuditAppend, AuditRow

FIRST_HASH = "0" * 64
KINDS = ("intent", "outcome")
DETAIL_CHARS_MAX = 16_384
TEXT_CHARS_MAX = 2048


def hash_of(row: AuditRow) -> str:
    """The SHA-256 of the row's canonical form, in hex."""
    fields = msgspec.to_builtins(row)
    del fields["hash"]
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def next_row(act: AuditAppend, *, row_id: int, time_ms: int, previous_hash: str) -> AuditRow:
    """The row that follows ``previous_hash``."""
    if act.kind not in KINDS:
        raise InvalidData(f"kind is one of {', '.join(KINDS)}")
    if act.kind == "outcome" and act.ref <= 0:
        raise InvalidData("an outcome names its intent in ref")
    row = AuditRow(
        id=row_id,
        time_ms=time_ms,
        kind=act.kind,
        actor=act.actor,
        session_type=act.session_type,
        method=_kept(act.method, TEXT_CHARS_MAX),
        path=_kept(act.path, TEXT_CHARS_MAX),
        detail=_kept(act.detail, DETAIL_CHARS_MAX),
        status=act.status,
        ref=act.ref,
        address=_kept(act.address, TEXT_CHARS_MAX),
        previous_hash=previous_hash,
        hash="",
    )
    return msgspec.structs.replace(row, hash=hash_of(row))


def _kept(text: str, chars_max: int) -> str:
    """What can be stored of it: PostgreSQL takes no NUL and no lone surrogate."""
    clean = text.replace("\x00", "�").encode("utf-8", "replace").decode()
    return clean if len(clean) <= chars_max else clean[: chars_max - 1] + "…"


@dataclass(frozen=True, slots=True)
class ChainState:
    """How far a chain was followed: the last good row, and the first that does not fit (0: none)."""

    rows: int = 0
    last_id: int = 0
    last_hash: str = FIRST_HASH
    broken_id: int = 0
    reason: str = ""


def follow(state: ChainState, rows: Iterable[AuditRow]) -> ChainState:
    """Check ``rows``, in order of id, against what came before them; stops at the first that breaks."""
    for row in rows:
        reason = _fault(state, row)
        if reason:
            return replace(state, broken_id=row.id, reason=reason)
        state = ChainState(state.rows + 1, row.id, row.hash)
    return state


def _fault(state: ChainState, row: AuditRow) -> str:
    if row.id != state.last_id + 1:
        return f"row {state.last_id + 1} is missing"
    if row.previous_hash != state.last_hash:
        return "it does not follow the row before it"
    if row.hash != hash_of(row):
        return "its content was changed"
    return ""
