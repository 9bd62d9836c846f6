"""Collections whose pauses do not grow with what a process holds."""

from __future__ import annotations

import gc
import weakref

import pytest

from libs.common.memory import keep_survivors, settle


class Node:
    """Something that may be in a cycle."""

    other: object = None


@pytest.fixture(autouse=True)
def as_before() -> object:
    yield
    gc.unfreeze()


def pair() -> tuple[Node, Node]:
    one, two = Node(), Node()
    one.other, two.other = two, one
    return one, two


def test_what_is_held_is_looked_at_once_and_goes_when_it_is_dropped() -> None:
    before = gc.get_threshold(), len(gc.callbacks)
    with keep_survivors():
        held = [Node() for _ in range(1_000)]
        gc.collect()
        assert held[0] not in gc.get_objects()
        last = weakref.ref(held[-1])
        del held
        assert last() is None
    assert (gc.get_threshold(), len(gc.callbacks)) == before


def test_cycles_that_are_dropped_before_a_full_collection_are_found() -> None:
    with keep_survivors():
        one, _ = pair()
        gone = weakref.ref(one)
        del one, _
        gc.collect()
        assert gone() is None


def test_full_collections_come_by_themselves_and_what_was_settled_does_not_put_them_off() -> None:
    full = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            full.append(info)

    before = [Node() for _ in range(50_000)]  # a quarter of these is what a full collection would wait for
    with keep_survivors():
        settle()
        gc.callbacks.append(note)
        try:
            more = [Node() for _ in range(10_000)]
        finally:
            gc.callbacks.remove(note)
    assert full
    assert len(before) + len(more) == 60_000
