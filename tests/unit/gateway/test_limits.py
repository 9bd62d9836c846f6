"""Windows count exactly; the shared table says what a dictionary would, whatever its neighbours do."""

from __future__ import annotations

import struct
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import ManualClock
from services.gateway.limits.shared import HEADER, HEADER_BYTES, SLOT, WAYS, SharedWindows
from services.gateway.limits.windows import FRESH, Rule, Window, hit

START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
RULES = st.builds(
    Rule, count=st.integers(1, 5), window_ms=st.sampled_from([1000, 60_000]), aligned=st.booleans()
)


def oracle(rule: Rule, calls_ms: list[int]) -> list[bool]:
    """Keep every taken call with its window; count those of the window a call falls into."""
    windows: list[list[int]] = []  # begin, calls
    taken = []
    for now in calls_ms:
        if not windows or now >= windows[-1][0] + rule.window_ms:
            windows.append([now - now % rule.window_ms if rule.aligned else now, 0])
        if windows[-1][1] < rule.count:
            windows[-1][1] += 1
            taken.append(True)
        else:
            taken.append(False)
    return taken


@given(RULES, st.lists(st.integers(0, 70_000), max_size=40))
def test_a_window_takes_exactly_its_count(rule: Rule, gaps_ms: list[int]) -> None:
    now_ms, calls_ms = 1_700_000_000_000, []
    for gap in gaps_ms:
        now_ms += gap
        calls_ms.append(now_ms)
    state, said = FRESH, []
    for now in calls_ms:
        state, verdict = hit(state, rule, now)
        said.append(verdict.taken)
        assert verdict.resets_ms - rule.window_ms <= now < verdict.resets_ms
        assert 0 <= verdict.remaining < rule.count
    assert said == oracle(rule, calls_ms)


def test_an_aligned_window_begins_on_the_minute() -> None:
    rule = Rule(1, 60_000, aligned=True)
    state, _ = hit(FRESH, rule, 119_999)
    assert hit(state, rule, 119_999)[1].taken is False
    assert hit(state, rule, 120_000)[1].taken is True


def test_a_window_from_the_future_is_given_up() -> None:
    assert hit(Window(2_000_000, 9), Rule(3, 60_000), 1_000_000)[1].remaining == 2


def table(folder: Path, clock: ManualClock, sets: int = 64) -> SharedWindows:
    return SharedWindows(folder / "limits.bin", clock, sets=sets)


@given(RULES, st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30_000)), max_size=60))
def test_the_table_says_what_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, rule: Rule, calls: list[tuple[int, int]]
) -> None:
    clock = ManualClock(START)
    folder = tmp_path_factory.getbasetemp() / "limits"
    folder.mkdir(exist_ok=True)
    (folder / "limits.bin").unlink(missing_ok=True)
    windows = table(folder, clock)
    states: dict[int, Window] = defaultdict(lambda: FRESH)
    for key, gap_ms in calls:
        clock.advance(gap_ms / 1000)
        states[key], expected = hit(states[key], rule, clock.now_ms())
        assert windows.hit(f"key {key}", rule) == expected
    windows.close()


def test_two_openings_of_the_file_are_one_table(tmp_path: Path) -> None:
    clock = ManualClock(START)
    one, other = table(tmp_path, clock), table(tmp_path, clock)
    rule = Rule(3, 60_000)
    taken = [t.hit("caller", rule).taken for t in (one, other, one, other, one)]
    assert taken == [True, True, True, False, False]
    one.close()
    again = table(tmp_path, clock)
    assert again.hit("caller", rule).taken is False


def test_a_full_set_keeps_who_is_at_the_limit(tmp_path: Path) -> None:
    windows = table(tmp_path, ManualClock(START), sets=1)
    rule = Rule(3, 60_000)
    for _ in range(3):
        windows.hit("loud", rule)
    for number in range(10 * WAYS):
        windows.hit(f"passer-by {number}", rule)
    assert windows.hit("loud", rule).taken is False


def test_a_slot_half_taken_over_counts_as_unused(tmp_path: Path) -> None:
    windows = table(tmp_path, ManualClock(START), sets=1)
    rule = Rule(1, 60_000)
    windows.hit("caller", rule)
    windows.close()
    with (tmp_path / "limits.bin").open("r+b") as file:  # as a process killed before the last write leaves it
        file.seek(HEADER_BYTES)
        digest, *numbers = SLOT.unpack(file.read(SLOT.size))
        file.seek(HEADER_BYTES)
        file.write(SLOT.pack(bytes(16), *numbers))
    again = table(tmp_path, ManualClock(START), sets=1)
    assert again.hit("caller", rule).taken is True
    assert digest != bytes(16)


@pytest.mark.parametrize(
    "found", [b"", b"short", b"NOTOURS!" + bytes(200), HEADER.pack(b"TWLIMIT1", 7, 7, bytes(16))]
)
def test_a_file_of_another_layout_is_begun_anew(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "limits.bin").write_bytes(found)
    windows = table(tmp_path, ManualClock(START))
    assert windows.hit("caller", Rule(1, 1000)).taken is True
    magic, sets, ways, _ = HEADER.unpack((tmp_path / "limits.bin").read_bytes()[: HEADER.size])
    assert (magic, sets, ways) == (b"TWLIMIT1", 64, WAYS)


def test_the_layout_is_what_its_version_says() -> None:
    # Another layout needs another file name: processes of two versions share the folder while they change.
    assert (HEADER.size, HEADER_BYTES, SLOT.size, struct.calcsize("<16sqqq")) == (32, 64, 40, 40)
