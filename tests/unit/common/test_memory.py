"""Collections whose pauses do not grow with what a process holds."""

from __future__ import annotations

import gc
import weakref

import pytest

from libs.common.memory import NEW_MAX, keep_survivors, settle


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


def test_cycles_that_are_dropped_before_a_collection_are_found() -> None:
    with keep_survivors():
        one, _ = pair()
        gone = weakref.ref(one)
        del one, _
        gc.collect()
        assert gone() is None


def test_what_is_new_is_looked_at_by_itself_and_then_kept() -> None:
    with keep_survivors():
        settle()
        before = gc.get_freeze_count()
        held = [Node() for _ in range(10 * NEW_MAX)]
        assert gc.get_freeze_count() - before >= 9 * NEW_MAX
        assert gc.get_count()[0] <= NEW_MAX + 1
    assert len(held) == 10 * NEW_MAX
