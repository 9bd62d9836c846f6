"""Every tick of a symbol, in order, for services that must not miss one: alerts and trading.

Lifecycle: ``hear`` subscribes and asks market for the last quotes, ``stop`` ends it. ``notify`` is
called when there may be something to take; ``take`` gives everything that is ready, so that a reader
that is busy takes more the next time. Core NATS may lose ticks; ``seq`` shows it. A symbol with a hole waits
while the missing frames are fetched from market, the others go on. Holes are looked for at each tick,
after each reconnect and every ``check_s`` seconds against market's last quotes (a lost last tick has
no follower that would show it).

Never: pass a tick on before an older one of its symbol, or twice; wait for one symbol on account of
another; grow without bound. Above ``merge_above`` waiting ticks a symbol keeps only the ticks that
hold first, last, highest and lowest bid and ask of a run; what was left out is counted in the batch.
What market can't give any more is said in the batch as a ``Hole``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from libs.common.bus import Bus, Subscription
from libs.common.errors import AppError
from libs.common.messages.market import Quote, SnapshotAsk, TicksSince
from libs.common.subjects import QUOTE, QUOTES_SNAPSHOT, TICKS_SINCE, untoken

log = structlog.get_logger()

FETCH_MAX = 5_000  # frames of one answer, well below the bus's 1 MiB
MERGE_CHUNK = 128  # ticks a symbol gathers between two merges
RETRY_S = 0.05
RETRY_S_MAX = 2.0

_passed = Counter("tradewind_tick_reader_passed_ticks", "Ticks handed to the service", ["service"])
_merged = Counter("tradewind_tick_reader_merged_ticks", "Ticks left out under overload", ["service"])
_fetched = Counter("tradewind_tick_reader_fetched_ticks", "Lost ticks fetched from market", ["service"])
_holes = Counter("tradewind_tick_reader_holes", "Holes market could not fill any more", ["service"])
_broken = Counter("tradewind_tick_reader_broken_frames", "Frames that were no quote", ["service"])
_backlog = Gauge("tradewind_tick_reader_backlog_ticks", "Ticks waiting for the service", ["service"])

Key = tuple[str, str]  # price profile, symbol

_frames = msgspec.json.Decoder(list[Quote])
_frame = msgspec.json.Decoder(Quote)


@dataclass(frozen=True, slots=True)
class Hole:
    """Ticks that can't be had any more; after a crash of market some of them never were.

    ``last`` below ``first`` says that market began to count anew and nobody knows how many.
    """

    first: int
    last: int


@dataclass(slots=True)
class Batch:
    """Ticks of one symbol in order. ``hole`` lies before the first of them."""

    profile: str
    symbol: str
    ticks: list[Quote]
    merged: int = 0
    hole: Hole | None = None


@dataclass(slots=True)
class _Run:
    """Ticks without a hole between ``first`` and ``last``, even where some were merged away."""

    first: int
    last: int
    ticks: list[Quote]
    merged: int = 0


@dataclass(slots=True, eq=False)
class _Lane:
    """What waits of one symbol in one profile."""

    profile: str
    symbol: str
    raw: list[bytes] = field(default_factory=list)
    ready: list[_Run] = field(default_factory=list)
    seen: int | None = None  # everything up to here was passed on; None until something is known
    known: int = 0  # market has had a tick with this seq
    fetched_to: int = 0  # frames up to here may still arrive a second time
    hole: Hole | None = None
    fetching: bool = False
    generation: int = 0

    def newest(self) -> int:
        """The highest seq that is known of."""
        return max(self.known, self.ready[-1].last) if self.ready else self.known

    def waiting(self) -> int:
        return len(self.raw) + sum(len(run.ticks) for run in self.ready)


def in_time(batches: Sequence[Batch]) -> list[Batch]:
    """The same ticks with the symbols in the order of time, each symbol's still in its own order."""
    latest: dict[Key, int] = {}
    ticks: list[tuple[int, int, Batch, Quote]] = []
    for number, batch in enumerate(batches):
        key = batch.profile, batch.symbol
        for tick in batch.ticks:
            latest[key] = max(latest.get(key, 0), tick.ctm_ms)
            ticks.append((latest[key], number, batch, tick))
    ticks.sort(key=lambda at: at[:2])
    found: list[Batch] = []
    begun: set[int] = set()
    last = -1
    for _, number, batch, tick in ticks:
        if number == last:
            found[-1].ticks.append(tick)
            continue
        first = number not in begun
        found.append(
            Batch(
                batch.profile,
                batch.symbol,
                [tick],
                batch.merged if first else 0,
                batch.hole if first else None,
            )
        )
        begun.add(number)
        last = number
    return found


class TickReader:
    """See the module's text. One per process and service."""

    def __init__(
        self,
        bus: Bus,
        service: str,
        notify: Callable[[], None],
        *,
        merge_above: int = 200_000,
        check_s: float = 10.0,
        grace_s: float = 0.2,
        wants: Callable[[str], bool] = lambda symbol: True,
    ) -> None:
        self._wants = wants
        self._others: set[str] = set()  # subjects of symbols that are not wanted
        self._bus = bus
        self._service = service
        self._notify = notify
        self._merge_above = merge_above
        self._check_s = check_s
        self._grace_s = grace_s
        self._lanes: dict[str, _Lane] = {}  # by subject
        self._due: dict[_Lane, None] = {}
        self._check_now = asyncio.Event()
        self._waiting = 0
        self._open: set[str] = set()  # profiles whose last quotes are known; no tick passes before that
        self._checking: asyncio.Task[None] | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        bus.on_reconnect(self._check_now.set)
        for metric in (_passed, _merged, _fetched, _holes, _broken, _backlog):
            metric.labels(service)

    async def hear(self, profiles: Iterable[str], seen: Mapping[Key, int]) -> list[tuple[str, Quote]]:
        """Hear more profiles, going on after the seqs in ``seen``; the last quotes of market.

        A symbol that is not in ``seen`` goes on after its last quote. Returns when market has answered.
        """
        wanted = frozenset(profiles)
        for profile in wanted:
            await self._subscribe(profile)
        self.rewind(seen)
        quotes = [quote for quote in await self._last_quotes_patiently() if quote[0] in wanted]
        self._compare(quotes, begin=True)
        self._open |= wanted
        self._notify()  # for what was heard meanwhile
        if self._checking is None:
            self._checking = self._spawn(self._check())
        return quotes

    async def leave(self, profile: str) -> None:
        """Hear a profile no more."""
        self._open.discard(profile)
        subscription = self._subscriptions.pop(profile, None)
        if subscription is not None:
            await subscription.stop()
        for subject in [s for s, lane in self._lanes.items() if lane.profile == profile]:
            lane = self._lanes.pop(subject)
            lane.generation += 1
            self._due.pop(lane, None)
            self._waiting -= lane.waiting()

    @property
    def profiles(self) -> frozenset[str]:
        """The profiles that are heard and whose last quotes are known."""
        return frozenset(self._open)

    def lags(self) -> dict[Key, int]:
        """The symbols of which ticks are known that were not passed on yet, and the last such seq."""
        return {
            (lane.profile, lane.symbol): known
            for lane in self._lanes.values()
            if lane.seen is not None and (known := lane.newest()) > lane.seen
        }

    def is_fetching(self) -> bool:
        """Whether ticks of some symbol are under way from market."""
        return any(lane.fetching for lane in self._lanes.values())

    def rewind(self, seen: Mapping[Key, int]) -> None:
        """Pass on again what follows these seqs."""
        for (profile, symbol), seq in seen.items():
            lane = self._lane(QUOTE.at(profile=profile, symbol=symbol))
            lane.known = max(lane.newest(), lane.seen or 0)
            self._waiting -= lane.waiting() - len(lane.raw)
            lane.ready.clear()
            lane.hole = None
            lane.seen = seq
            lane.generation += 1
            lane.fetching = False
            self._wake_for(lane)

    async def stop(self) -> None:
        """Hear and pass on nothing more."""
        for profile in list(self._subscriptions):
            await self._subscriptions.pop(profile).stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── hearing ───────────────────────────────────────────────────────────────────────────────────

    async def _subscribe(self, profile: str) -> None:
        if profile not in self._subscriptions:
            pattern = QUOTE.at(profile=profile, symbol="*").replace("=2A", "*")
            self._subscriptions[profile] = await self._bus.subscribe(pattern, self._heard)

    def _heard(self, subject: str, payload: bytes) -> None:
        lane = self._lanes.get(subject)
        if lane is None:
            if subject in self._others:
                return
            if not self._wants(untoken(subject.split(".")[5])):
                self._others.add(subject)
                return
            lane = self._lane(subject)
        raw = lane.raw
        raw.append(payload)
        self._waiting += 1
        if len(raw) == 1:
            self._wake_for(lane)
        elif self._waiting > self._merge_above and len(raw) >= MERGE_CHUNK:
            self._merge(lane)

    def _lane(self, subject: str) -> _Lane:
        lane = self._lanes.get(subject)
        if lane is None:
            profile, symbol = subject.split(".")[4:6]
            lane = self._lanes[subject] = _Lane(untoken(profile), untoken(symbol))
        return lane

    def _wake_for(self, lane: _Lane) -> None:
        self._due[lane] = None
        self._notify()

    def _merge(self, lane: _Lane) -> None:
        """Keep the extremes of all that waits of one symbol."""
        self._decode(lane)
        before = lane.waiting()
        lane.ready = [merge_run(run) for run in lane.ready]
        left_out = before - lane.waiting()
        self._waiting -= left_out
        _merged.labels(self._service).inc(left_out)

    def _decode(self, lane: _Lane) -> None:
        """Move what was heard to the runs that are ready, one run per stretch without a hole."""
        raw, lane.raw = lane.raw, []
        try:
            ticks = _frames.decode(b"[" + b",".join(raw) + b"]")
        except msgspec.DecodeError:
            ticks = self._decode_singly(raw)
        self._waiting -= len(raw) - len(ticks)
        for run in runs_of(ticks):
            last = lane.ready[-1] if lane.ready else None
            if last is not None and run.first == last.last + 1:
                last.last = run.last
                last.ticks += run.ticks
            else:
                lane.ready.append(run)

    def _decode_singly(self, raw: Sequence[bytes]) -> list[Quote]:
        ticks: list[Quote] = []
        for payload in raw:
            try:
                ticks.append(_frame.decode(payload))
            except msgspec.DecodeError as e:
                _broken.labels(self._service).inc()
                log.warning("frame was no quote", error=str(e), frame=payload[:200].decode(errors="replace"))
        return ticks

    # ── passing on ────────────────────────────────────────────────────────────────────────────────

    def take(self) -> list[Batch]:
        """Everything that is ready; each tick once, those of a symbol in order."""
        batches: list[Batch] = []
        due, self._due = self._due, {}
        for lane in due:
            if lane.profile not in self._open:
                self._due[lane] = None
                continue
            if lane.raw:
                self._decode(lane)
            self._advance(lane, batches)
        _backlog.labels(self._service).set(self._waiting)
        if batches:
            _passed.labels(self._service).inc(sum(len(batch.ticks) for batch in batches))
        return batches

    def _advance(self, lane: _Lane, batches: list[Batch]) -> None:
        """Pass on what has no hole before it; fetch what is missing."""
        if lane.seen is None and lane.ready:
            lane.seen = 0  # it had no quote when its profile was opened: its first ticks are ours too
        while lane.ready and lane.seen is not None and not lane.fetching:
            run = lane.ready[0]
            if run.first == lane.seen + 1:
                lane.ready.pop(0)
                self._waiting -= len(run.ticks)
                lane.seen = run.last
                lane.known = max(lane.known, run.last)
                batches.append(Batch(lane.profile, lane.symbol, run.ticks, run.merged, lane.hole))
                lane.hole = None
            elif run.first > lane.seen:
                lane.known = max(lane.known, run.first - 1)
                self._fetch(lane)
            elif run.last <= lane.fetched_to:
                self._waiting -= len(lane.ready.pop(0).ticks)  # a fetch was faster than the bus
            elif run.last > lane.seen:
                self._waiting -= len(run.ticks)
                run.ticks = [tick for tick in run.ticks if tick.seq > lane.seen]
                self._waiting += len(run.ticks)
                run.first = lane.seen + 1
            else:
                # Older than what was passed on, and nobody fetched it: has market begun to count anew?
                lane.fetched_to = run.last
                self._fetch(lane)
        if lane.seen is not None and lane.known > lane.seen and not lane.ready:
            self._fetch(lane)

    # ── filling holes ─────────────────────────────────────────────────────────────────────────────

    def _fetch(self, lane: _Lane) -> None:
        if not lane.fetching:
            lane.fetching = True
            self._spawn(self._fill(lane, lane.generation))

    async def _fill(self, lane: _Lane, generation: int) -> None:
        """Ask market for what follows ``seen`` until it answers, and put it before what waits."""
        delay_s = RETRY_S
        after = lane.seen or 0
        ask = TicksSince(symbol=lane.symbol, profile=lane.profile, after_seq=after, limit=FETCH_MAX)
        while True:
            try:
                answer = await self._bus.request(TICKS_SINCE, ask)
                frames, last_seq = answer.frames, answer.last_seq
                break
            except AppError as e:
                if e.http_status == 404:  # market knows no such symbol any more
                    log.warning("missing ticks refused", symbol=lane.symbol, code=e.code)
                    frames, last_seq = (), after
                    break
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)
        if lane.generation != generation:
            return
        lane.fetching = False
        self._take_fetched(lane, after, self._decode_singly([bytes(f) for f in frames]), last_seq)
        self._wake_for(lane)

    def _take_fetched(self, lane: _Lane, after: int, ticks: list[Quote], last_seq: int) -> None:
        """Put what market gave before what waits; say what it could not give."""
        if not ticks and last_seq < after:
            self._begin_anew(lane, last_seq)
            return
        _fetched.labels(self._service).inc(len(ticks))
        for run in reversed(runs_of([tick for tick in ticks if tick.seq > after])):
            lane.ready.insert(0, run)
            self._waiting += len(run.ticks)
            lane.fetched_to = max(lane.fetched_to, run.last)
        lane.ready.sort(key=lambda run: run.first)
        lane.known = max(lane.known, last_seq)
        until = lane.ready[0].first - 1 if lane.ready else lane.known
        if until > after == 0:
            lane.seen = until  # before the first tick there ever was for us nothing is missing
        elif until > after:
            lane.hole = Hole(lane.hole.first if lane.hole else after + 1, until)
            lane.seen = until
            _holes.labels(self._service).inc()
            log.warning("ticks lost for good", symbol=lane.symbol, first=after + 1, last=until)

    def _begin_anew(self, lane: _Lane, last_seq: int) -> None:
        """Market counts from below what was passed on: its memory is gone, so is what was between."""
        log.warning("seq went back", symbol=lane.symbol, seen=lane.seen, last_seq=last_seq)
        _holes.labels(self._service).inc()
        seen = lane.seen or 0
        lane.hole = Hole(seen + 1, seen)
        lane.seen = lane.ready[0].first - 1 if lane.ready else last_seq
        lane.known = lane.fetched_to = lane.seen

    # ── comparing with market's last quotes ───────────────────────────────────────────────────────

    async def _check(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._check_s):
                    await self._check_now.wait()
            except TimeoutError:
                pass
            self._check_now.clear()
            try:
                quotes = await self._last_quotes()
            except AppError as e:
                log.info("last quotes not compared", error=str(e))
                continue
            # What market has just published may still be on its way here; only then is it missing.
            await asyncio.sleep(self._grace_s)
            self._compare(quotes, begin=False)

    async def _last_quotes_patiently(self) -> list[tuple[str, Quote]]:
        delay_s = RETRY_S
        while True:
            try:
                return await self._last_quotes()
            except AppError as e:
                log.info("waiting for market", error=str(e))
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)

    async def _last_quotes(self) -> list[tuple[str, Quote]]:
        answer = await self._bus.request(QUOTES_SNAPSHOT, SnapshotAsk())
        quotes = [(p, _frame.decode(frame)) for p, frame in answer.frames if p in self._subscriptions]
        return [(profile, quote) for profile, quote in quotes if self._wants(quote.symbol)]

    def _compare(self, quotes: Iterable[tuple[str, Quote]], *, begin: bool) -> None:
        """Notice ticks that market had and that were not heard."""
        for profile, quote in quotes:
            lane = self._lane(QUOTE.at(profile=profile, symbol=quote.symbol))
            if lane.seen is None:
                # At the beginning the last quote is the state; later it is a tick that was lost.
                lane.seen = quote.seq if begin else 0
                lane.fetched_to = lane.seen
            lane.known = max(lane.known, quote.seq)
            if begin and quote.seq < lane.seen:
                self._fetch(lane)  # market lost its memory while nobody listened
            elif lane.known > lane.seen:
                self._wake_for(lane)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def runs_of(ticks: Sequence[Quote]) -> list[_Run]:
    """The stretches of consecutive seqs, in the order of the ticks."""
    runs: list[_Run] = []
    start = 0
    for at in range(1, len(ticks) + 1):
        if at == len(ticks) or ticks[at].seq != ticks[at - 1].seq + 1:
            runs.append(_Run(ticks[start].seq, ticks[at - 1].seq, list(ticks[start:at])))
            start = at
    return runs


def merge_run(run: _Run) -> _Run:
    """The same run with only the ticks that hold its first, last, highest and lowest prices."""
    ticks = run.ticks
    if len(ticks) <= 2:
        return run
    at = range(len(ticks))
    keep = {
        0,
        len(ticks) - 1,
        max(at, key=lambda i: ticks[i].bid),
        min(at, key=lambda i: ticks[i].bid),
        max(at, key=lambda i: ticks[i].ask),
        min(at, key=lambda i: ticks[i].ask),
    }
    kept = [ticks[i] for i in sorted(keep)]
    return _Run(run.first, run.last, kept, run.merged + len(ticks) - len(kept))
