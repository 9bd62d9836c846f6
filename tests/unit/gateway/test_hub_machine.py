"""What each client must have received, whatever happens in whatever order.

The oracle keeps a plain list per client of everything that was meant for it, and looks at the
transport's buffer; it knows nothing of channels, logs or flushes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from services.gateway.hub import TOO_SLOW, HubLimits
from services.gateway.pace import PaceLimits
from services.gateway.rounds import RoundLimits
from tests.unit.gateway.stage import Client, Stage, tick

SYMBOLS = ("AAA", "BBB", "CCC")
HIGH_WATER = 150
EVENTS_MAX = 8
LOGIN = 7


@dataclass(eq=False)
class Told:
    """Everything one client was meant to hear, and when it could not keep up."""

    client: Client
    wanted: set[str] = field(default_factory=set)
    left: set[str] = field(
        default_factory=set
    )  # unsubscribed; not taken up again, which would repeat a quote
    ticks: dict[str, list[int]] = field(default_factory=lambda: {symbol: [] for symbol in SYMBOLS})
    all_frames: list[bytes] = field(default_factory=list)  # in order, for one that always kept up
    events: list[int] = field(default_factory=list)
    follows: bool = False
    must: set[tuple[str, int]] = field(default_factory=set)  # said while it kept up, and flushed so
    maybe: set[tuple[str, int]] = field(default_factory=set)  # said while it kept up, not yet flushed

    @property
    def behind(self) -> bool:
        return self.client.connection.stalled_s is not None

    @property
    def always_kept_up(self) -> bool:
        return self.client.transport.highest < HIGH_WATER

    def heard(self) -> tuple[dict[str, list[int]], list[int]]:
        ticks: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
        events = []
        for payload in self.client.transport.frames():
            frame = json.loads(payload)
            if frame[0] == "t":
                ticks[frame[1]].append(frame[6])
            else:
                events.append(frame[2])
        return ticks, events


class HubMachine(RuleBasedStateMachine):
    """Clients come, subscribe, read or do not read, and go; ticks and events come in between."""

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        # A rate that the machine's own steps reach, so that it runs through every pace.
        pace = PaceLimits(rate_low=20, rate_high=100, writes_rate_goal=10)
        self.stage = Stage(
            HubLimits(
                high_water_bytes=HIGH_WATER,
                held_events_max=EVENTS_MAX,
                stall_s_max=1e9,
                log_frames_max=10_000,
                rounds=RoundLimits(chunk_sockets=2, pace=pace),
            ),
            write_cost_s=1e-5,
        )
        self.told: list[Told] = []
        self.seq = dict.fromkeys(SYMBOLS, 0)
        self.last_event = 0
        self.lost_elsewhere = False  # something was dropped with a client or a subscription

    @rule(target=clients)
    def come(self) -> Told:
        told = Told(self.stage.client())
        self.told.append(told)
        return told

    @rule(told=consumes(clients))
    def go(self, told: Told) -> None:
        self.stage.hub.detach(told.client.connection)
        self.told.remove(told)
        self.lost_elsewhere = True

    @rule(told=clients, symbols=st.sets(st.sampled_from(SYMBOLS), min_size=1))
    def subscribe(self, told: Told, symbols: set[str]) -> None:
        ordered = sorted(symbols - told.wanted - told.left)
        if told.client.cuts:
            return
        self.stage.hub.subscribe(told.client.connection, [("raw", symbol) for symbol in ordered])
        for symbol in ordered:
            told.wanted.add(symbol)
            if self.seq[symbol]:
                told.ticks[symbol].append(self.seq[symbol])
                told.all_frames.append(tick(symbol, self.seq[symbol]))

    @rule(told=clients, symbol=st.sampled_from(SYMBOLS))
    def unsubscribe(self, told: Told, symbol: str) -> None:
        self.stage.hub.unsubscribe(told.client.connection, [("raw", symbol)])
        if symbol in told.wanted:
            told.wanted.remove(symbol)
            told.left.add(symbol)
        told.must = {said for said in told.must if said[0] != symbol}
        told.maybe = {said for said in told.maybe if said[0] != symbol}

    @rule(told=clients)
    def follow(self, told: Told) -> None:
        if told.client.cuts:
            return
        self.stage.hub.join(told.client.connection, LOGIN)
        self.stage.hub.follow(told.client.connection, resume=False, after=self.last_event)
        told.follows = True

    @rule(symbol=st.sampled_from(SYMBOLS), count=st.integers(1, 4))
    def say(self, symbol: str, count: int) -> None:
        for _ in range(count):
            self.seq[symbol] += 1
            seq = self.seq[symbol]
            for told in self.told:
                if symbol in told.wanted and not told.client.cuts:
                    told.ticks[symbol].append(seq)
                    told.all_frames.append(tick(symbol, seq))
                    if not told.behind:
                        told.maybe.add((symbol, seq))
            self.stage.hub.on_tick("raw", symbol, tick(symbol, seq))

    @rule(count=st.integers(1, 3))
    def push(self, count: int) -> None:
        for _ in range(count):
            self.last_event += 1
            for told in self.told:
                if told.follows and not told.client.cuts:
                    told.events.append(self.last_event)
            self.stage.hub.on_push(LOGIN, self.last_event, b'["b",7,%d]' % self.last_event)

    @rule(repeat=st.integers(0, 5))
    def push_again(self, repeat: int) -> None:
        old = max(self.last_event - repeat, 0)
        if old:
            self.stage.hub.on_push(LOGIN, old, b'["b",7,%d]' % old)

    @rule(told=clients, size=st.integers(1, 400))
    def read(self, told: Told, size: int) -> None:
        told.client.transport.read(size)

    @rule()
    def turn(self) -> None:
        self.stage.scheduler.turn()

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.1]))
    def wait(self, seconds: float) -> None:
        before = {told: told.behind for told in self.told}
        self.stage.scheduler.advance(seconds)
        if seconds == 0.1:  # longer than any interval: everything said before was flushed
            for told, was_behind in before.items():
                if not was_behind and not told.behind and told.client.transport.highest < HIGH_WATER:
                    told.must |= told.maybe
                told.maybe.clear()

    @invariant()
    def order_holds_and_nothing_is_invented(self) -> None:
        for told in self.told:
            ticks, events = told.heard()
            for symbol in SYMBOLS:
                assert ticks[symbol] == sorted(set(ticks[symbol]))
                assert set(ticks[symbol]) <= set(told.ticks[symbol])
            assert events == told.events[: len(events)]

    @invariant()
    def memory_is_bounded(self) -> None:
        for told in self.told:
            connection = told.client.connection
            assert len(connection.held) - connection.held_events <= len(told.wanted)
            assert connection.held_events <= EVENTS_MAX
            if told.behind:
                assert not connection.pending

    @invariant()
    def only_the_bound_of_events_cuts(self) -> None:
        for told in self.told:
            assert told.client.cuts in ([], [TOO_SLOW])
            if told.client.cuts:
                assert told.client.transport.highest >= HIGH_WATER
                assert len(told.events) > EVENTS_MAX

    def teardown(self) -> None:
        """Everyone reads everything: now each must have what was meant for it."""
        for _ in range(10):
            self.stage.scheduler.advance(0.1)
            for told in self.told:
                told.client.transport.read()
        lost = 0
        for told in self.told:
            ticks, events = told.heard()
            if told.client.cuts or told.left:
                self.lost_elsewhere = True
            if told.client.cuts:
                continue
            assert events == told.events
            for symbol in told.wanted:
                assert ticks[symbol][-1:] == told.ticks[symbol][-1:]
            assert told.must <= {(symbol, seq) for symbol, seqs in ticks.items() for seq in seqs}
            lost += sum(len(told.ticks[symbol]) - len(ticks[symbol]) for symbol in SYMBOLS)
            if told.always_kept_up:
                quotes = [p for p in told.client.transport.frames() if p.startswith(b'["t"')]
                assert quotes == told.all_frames
        if not self.lost_elsewhere:
            assert lost == self.stage.hub.counters.conflated


HubMachine.TestCase.settings = settings(max_examples=250, stateful_step_count=60, deadline=None)
TestHubMachine = HubMachine.TestCase
