"""The audit chain breaks wherever a row is edited, removed, added or moved."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from libs.common.messages.auth import AuditAppend, AuditRow
from services.auth.audit import FIRST_HASH, ChainState, follow, hash_of, next_row

acts = st.builds(
    AuditAppend,
    kind=st.sampled_from(["intent", "outcome"]),
    actor=st.integers(1, 9),
    session_type=st.integers(1, 3),
    method=st.sampled_from(["PUT", "POST"]),
    path=st.text(max_size=20),
    detail=st.text(max_size=40),
    status=st.integers(0, 599),
    ref=st.integers(1, 10**6),
    address=st.just("127.0.0.1"),
)


def chain(made: list[AuditAppend]) -> list[AuditRow]:
    rows: list[AuditRow] = []
    for number, act in enumerate(made, start=1):
        before = rows[-1].hash if rows else FIRST_HASH
        rows.append(next_row(act, row_id=number, time_ms=1000 + number, previous_hash=before))
    return rows


@given(st.lists(acts, max_size=12), st.integers(1, 5))
def test_an_untouched_chain_holds_however_it_is_cut_into_pieces(made: list[AuditAppend], piece: int) -> None:
    rows = chain(made)
    state = ChainState()
    for start in range(0, len(rows), piece):
        state = follow(state, rows[start : start + piece])
    assert (state.rows, state.broken_id) == (len(rows), 0)


@given(st.lists(acts, min_size=2, max_size=8), st.data())
def test_editing_any_field_of_any_row_breaks_the_chain(made: list[AuditAppend], data: st.DataObject) -> None:
    rows = chain(made)
    place = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(list(AuditRow.__struct_fields__)))
    old = getattr(rows[place], field)
    new: Any = old + 1 if isinstance(old, int) else old + "x"
    rows[place] = msgspec.structs.replace(rows[place], **{field: new})
    assert follow(ChainState(), rows).broken_id != 0


@given(st.lists(acts, min_size=2, max_size=8), st.data())
def test_editing_a_row_and_its_own_hash_breaks_at_the_next(
    made: list[AuditAppend], data: st.DataObject
) -> None:
    rows = chain(made)
    place = data.draw(st.integers(0, len(rows) - 2))
    edited = msgspec.structs.replace(rows[place], detail=rows[place].detail + "x")
    rows[place] = msgspec.structs.replace(edited, hash=hash_of(edited))
    state = follow(ChainState(), rows)
    assert state.broken_id == place + 2


@given(st.lists(acts, min_size=3, max_size=8), st.data())
def test_removing_or_swapping_rows_breaks_the_chain(made: list[AuditAppend], data: st.DataObject) -> None:
    rows = chain(made)
    place = data.draw(st.integers(0, len(rows) - 2))
    removed = rows[:place] + rows[place + 1 :]
    swapped = [*rows[:place], rows[place + 1], rows[place], *rows[place + 2 :]]
    assert follow(ChainState(), removed).broken_id != 0
    assert follow(ChainState(), swapped).broken_id != 0


@given(acts)
def test_the_hash_is_that_of_the_canonical_json(act: AuditAppend) -> None:
    row = next_row(act, row_id=1, time_ms=5, previous_hash=FIRST_HASH)
    fields = {name: getattr(row, name) for name in row.__struct_fields__ if name != "hash"}
    canonical = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    assert row.hash == hashlib.sha256(canonical).hexdigest()


def test_what_cannot_be_stored_is_replaced_and_long_texts_are_cut() -> None:
    act = AuditAppend(
        kind="intent", actor=1, session_type=3, method="PUT", path="a\x00b", detail="x" * 99_999
    )
    row = next_row(act, row_id=1, time_ms=5, previous_hash=FIRST_HASH)
    assert "\x00" not in row.path
    assert len(row.detail) == 16_384


@pytest.mark.parametrize("changed", [{"kind": "other"}, {"kind": "outcome", "ref": 0}])
def test_an_unknown_kind_or_an_outcome_without_its_intent_is_refused(changed: dict[str, Any]) -> None:
    act = AuditAppend(
        **{"kind": "intent", "actor": 1, "session_type": 3, "method": "", "path": "", **changed}
    )
    with pytest.raises(InvalidData):
        next_row(act, row_id=1, time_ms=5, previous_hash=FIRST_HASH)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("short", "short"),
        ("x" * 2048, "x" * 2048),
        ("x" * 2049, "x" * 2047 + "…"),
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a?b"),
    ],
)
def test_texts_are_kept_as_far_as_they_can_be(text: str, kept: str) -> None:
    act = AuditAppend(kind="intent", actor=1, session_type=3, method=text, path=text, address=text)
    row = next_row(act, row_id=1, time_ms=5, previous_hash=FIRST_HASH)
    assert (row.method, row.path, row.address) == (kept, kept, kept)


def test_a_broken_chain_says_what_is_wrong_with_which_row() -> None:
    rows = chain(
        [AuditAppend(kind="intent", actor=n, session_type=3, method="", path="") for n in range(1, 5)]
    )
    edited = [rows[0], msgspec.structs.replace(rows[1], path="x"), *rows[2:]]
    moved = [rows[0], msgspec.structs.replace(rows[1], previous_hash="x"), *rows[2:]]
    for broken, row_id, reason in (
        (edited, 2, "its content was changed"),
        (moved, 2, "it does not follow the row before it"),
        ([rows[0], *rows[2:]], 3, "row 2 is missing"),
        (rows[1:], 2, "row 1 is missing"),
    ):
        state = follow(ChainState(), broken)
        assert (state.broken_id, state.reason) == (row_id, reason)


def test_a_row_says_everything_of_its_act() -> None:
    act = AuditAppend(
        kind="outcome",
        actor=7,
        session_type=2,
        method="PUT",
        path="/p",
        detail="d",
        status=403,
        ref=9,
        address="a",
    )
    row = next_row(act, row_id=10, time_ms=11, previous_hash="f")
    assert (row.id, row.time_ms, row.previous_hash) == (10, 11, "f")
    assert {name: getattr(row, name) for name in act.__struct_fields__} == msgspec.structs.asdict(act)
