"""What surfaces allow per minute, to whom, and that the headers say what the limiter decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.clock import ManualClock
from libs.common.plans import PlansFile
from libs.common.principal import ANONYMOUS, Principal, SessionType
from services.gateway.endpoints import ENDPOINTS
from services.gateway.endpoints.row import Limit
from services.gateway.limits.limiter import Limiter
from services.gateway.limits.shared import SharedWindows
from services.gateway.limits.spans import SharedSpans
from services.gateway.limits.tables import Tables
from services.gateway.pacing import Paced, Pacing

START = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
NO_BUS: Any = None  # one machine says nothing to others
RATES = {"free": (10, 3), "go": (30, 10), "plus": (60, 20), "pro": (120, 50)}


class Gateways:
    """Several processes of one machine, as far as the limits go: one file, one clock."""

    def __init__(self, folder: Path, stack: ExitStack, processes: int = 3) -> None:
        self.clock = ManualClock(START)
        plans = PlansFile("", self.clock)
        self.doors = []
        for _ in range(processes):
            windows = SharedWindows(folder / "limits", self.clock)
            stack.callback(windows.close)
            spans = SharedSpans(folder / "spans", self.clock)
            stack.callback(spans.close)
            limiter = Limiter(Tables(windows, spans), NO_BUS, self.clock)
            self.doors.append(Pacing(limiter, plans, self.clock))
        self.turn = 0

    def ask(self, surface: str, who: Principal, address: str = "10.0.0.1") -> Paced:
        """One call, at the processes in turn."""
        self.turn += 1
        paced = self.doors[self.turn % len(self.doors)].count_here(surface, who, address)
        assert paced is not None
        return paced

    def taken(self, surface: str, who: Principal, calls: int, address: str = "10.0.0.1") -> int:
        return sum(self.ask(surface, who, address).taken for _ in range(calls))


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    with ExitStack() as stack:
        yield Gateways(tmp_path, stack)


def person(tier: str, number: int = 1) -> Principal:
    return Principal(
        kind="customer", person_id=number, session_type=SessionType.CUSTOMER, tier=tier, subject=f"c:{number}"
    )


def key(number: int = 1) -> Principal:
    return Principal(kind="key", subject=f"key:k{number}", jti=f"k{number}")


@pytest.mark.parametrize("tier", RATES)
def test_a_tier_has_its_burst_a_second_and_its_rate_a_minute(gateways: Gateways, tier: str) -> None:
    rate, burst = RATES[tier]
    who = person(tier)
    done = 0
    while gateways.clock.now_ms() % 60_000 < 54_000:  # stay in the minute
        done += gateways.taken("scan", who, burst + 5)
        gateways.clock.advance(1)
    assert done == min(rate, 49 * burst)
    refused = gateways.ask("scan", who)
    assert (refused.taken, refused.limit, refused.remaining) == (False, rate, 0)
    assert gateways.clock.now_ms() // 1000 + refused.retry_after_s == refused.resets_ms // 1000
    assert refused.resets_ms % 60_000 == 0
    gateways.clock.advance(refused.retry_after_s)
    assert gateways.ask("scan", who).remaining == rate - 1


def test_a_burst_is_refused_for_a_second_and_uses_nothing_of_the_minute(gateways: Gateways) -> None:
    who = person("free")
    assert gateways.taken("scan", who, 3) == 3
    refused = gateways.ask("scan", who)
    assert (refused.taken, refused.remaining, refused.retry_after_s) == (False, 7, 1)
    gateways.clock.advance(1)
    assert gateways.ask("scan", who).remaining == 6


def test_people_addresses_and_surfaces_have_buckets_of_their_own(gateways: Gateways) -> None:
    assert gateways.taken("scan", person("free", 1), 9) == 3
    assert gateways.taken("scan", person("free", 2), 9) == 3
    assert gateways.taken("scan", ANONYMOUS, 9, "10.0.0.1") == 3
    assert gateways.taken("scan", ANONYMOUS, 9, "10.0.0.2") == 3
    assert gateways.taken("prices", ANONYMOUS, 200, "10.0.0.1") == 100
    assert gateways.taken("analysis", key(), 200) == 60
    assert gateways.taken("signals", key(), 400) == 200


def test_an_ipv6_caller_is_its_64(gateways: Gateways) -> None:
    assert gateways.taken("scan", ANONYMOUS, 3, "2001:db8::1") == 3
    assert not gateways.ask("scan", ANONYMOUS, "2001:db8::ffff:2").taken
    assert gateways.ask("scan", ANONYMOUS, "2001:db8:0:1::1").taken
    assert not gateways.ask("scan", ANONYMOUS, "2001:db8:0:0:9::").taken


def test_keys_of_one_address_share_what_the_address_has(gateways: Gateways) -> None:
    assert [gateways.taken("analysis", key(n), 100) for n in range(4)] == [60, 20, 0, 0]


def test_a_window_of_prices_opens_with_its_first_call(gateways: Gateways) -> None:
    first = gateways.ask("prices", ANONYMOUS)
    assert first.resets_ms == gateways.clock.now_ms() + 60_000
    gateways.clock.advance(59.9)
    assert gateways.taken("prices", ANONYMOUS, 100) == 99
    gateways.clock.advance(0.1)
    assert gateways.ask("prices", ANONYMOUS).remaining == 99


def test_staff_and_other_surfaces_have_no_pace(gateways: Gateways) -> None:
    admin = Principal(kind="staff", session_type=SessionType.ADMIN, login=1)
    assert gateways.doors[0].count_here("scan", admin, "10.0.0.1") is None
    assert gateways.doors[0].count_here("broker", ANONYMOUS, "10.0.0.1") is None


def test_looking_counts_nothing(gateways: Gateways) -> None:
    for _ in range(20):
        seen = gateways.doors[0].look("scan", ANONYMOUS, "10.0.0.1")
        assert seen is not None and seen.headers["X-RateLimit-Remaining"] == "10"
    assert gateways.ask("scan", ANONYMOUS).remaining == 9


def test_plans_that_change_count_at_once_and_bad_ones_do_not(
    tmp_path: Path, gateways: Gateways, request: pytest.FixtureRequest
) -> None:
    from libs.common.plans import BUILT_IN

    path = tmp_path / "plans.json"
    path.write_bytes(BUILT_IN.read_bytes())
    plans = PlansFile(str(path), gateways.clock)
    before = plans.version
    change: Callable[[bytes, bytes], object] = lambda a, b: path.write_bytes(  # noqa: E731
        path.read_bytes().replace(a, b)
    )
    change(b'"brief": 10000', b'"brief": 12345')
    gateways.clock.advance(1)
    assert plans.now().prices["brief"] == 12_345 and plans.version != before
    now = plans.version
    for bad in (b"{", b'{"prices": {}}'):
        path.write_bytes(bad)
        gateways.clock.advance(1)
        assert plans.now().prices["brief"] == 12_345 and plans.version == now


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=60), st.integers(1, 6))
def test_no_second_anywhere_holds_more_than_the_burst(
    tmp_path_factory: pytest.TempPathFactory, waits: list[int], count: int
) -> None:
    clock = ManualClock(START)
    folder = tmp_path_factory.mktemp("spans")
    doors = [SharedSpans(folder / "spans", clock, sets=4) for _ in range(2)]
    taken: list[int] = []
    for number, wait_ms in enumerate(waits):
        clock.advance(wait_ms / 1000)
        now_ms = clock.now_ms()
        room = sum(1 for at in taken if now_ms - at < 1_000) < count  # the slow way: look at every call
        verdict = doors[number % 2].hit("who", count, 1_000)
        assert verdict.taken is room
        if room:
            taken.append(now_ms)
        else:
            clock.advance((verdict.resets_ms - now_ms) / 1000)
            assert doors[0].hit("who", count, 1_000).taken
            taken.append(clock.now_ms())
    for door in doors:
        door.close()


def test_a_rows_limit_may_be_the_plans(gateways: Gateways) -> None:
    door = gateways.doors[0]
    assert door.count_of(Limit("demo-hour", 1, 3_600, setting="demo_per_hour")) == 10
    assert door.count_of(Limit("other", 7)) == 7
    named = [limit.setting for row in ENDPOINTS for limit in row.limits if limit.setting]
    assert sorted(named) == ["demo_per_day", "demo_per_hour"]
    assert all(hasattr(PlansFile("", gateways.clock).now().limits, name) for name in named)
