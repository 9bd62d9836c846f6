"""The alerts of one symbol in one price profile, and what a tick fires. Pure; one writer.

The trigger book does the work; this adds what a level alone can't say: that the two edges of a channel
are one alert, that the two directions of a crossing are one, that a moving reference moves on with a
hit, and that an alert armed at a tick is judged from the next one on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from libs.common.candles import MINUTE_MS
from libs.common.messages.market import Quote
from libs.common.tick_reader import Batch, Key
from libs.common.trigger_book import Kind, Ladder
from services.alerts.alert import CHANNEL, INT64_MAX, MOVING, Alert, Condition, Side
from services.alerts.levels import levels_of, meets


class Mark(StrEnum):
    """What is to be known of how a hit was seen; it ends up in the log's comment."""

    NONE = ""
    CAUGHT_UP = "caught up"  # the tick came while the service was down
    GAP = "after missing ticks"
    CANDLES = "from candles"  # the ticks are gone, candles say what they touched
    MERGED = "merged ticks"


class Hit(NamedTuple):
    """An alert fired on a tick."""

    alert_id: int
    price: float
    seq: int
    mark: Mark
    tick_ms: int = 0  # exchange time of the tick


class Referenced(NamedTuple):
    """A moving alert got its reference from the first tick there was."""

    alert_id: int
    price: float


@dataclass(slots=True)
class _Special:
    """An alert that is more than one level in the book."""

    alert: Alert
    reference: float


class Watch:
    """See the module's text. ``seq`` is the last tick judged, 0 before the first."""

    __slots__ = (
        "_fresh",
        "_ladders",
        "_later",
        "_special",
        "_unset",
        "caught_up_to",
        "dirty",
        "high",
        "key",
        "low",
        "minute_ms",
        "seq",
        "tick_ms",
    )

    def __init__(self, key: Key) -> None:
        self.key = key
        self.seq = 0
        self.tick_ms = 0
        self.minute_ms = 0  # the minute of the last tick judged, and the bids judged in it
        self.high, self.low = -math.inf, math.inf
        self.caught_up_to = 0  # hits up to here came while the service was down
        self.dirty = False  # ticks were judged that the database does not know of
        self._ladders = (Ladder(), Ladder())
        self._special: dict[int, _Special] = {}
        self._fresh: dict[int, _Special] = {}  # channel conditions no tick has judged yet
        self._unset: dict[int, Alert] = {}  # moving alerts that wait for a first price as reference
        self._later: list[Alert] = []  # armed or fired at a tick that is still to be judged

    def __len__(self) -> int:
        return sum(map(len, self._ladders)) + len(self._later) + len(self._unset)

    @property
    def prices(self) -> tuple[float, float] | None:
        """The last bid and ask; None before the first tick."""
        bid, ask = (ladder.last for ladder in self._ladders)
        return None if bid is None or ask is None else (bid, ask)

    def price(self, side: int) -> float | None:
        """The last price of a side."""
        return self._ladders[side].last

    def start(
        self, bid: float, ask: float, seq: int, tick_ms: int, extremes: tuple[float, float] | None = None
    ) -> None:
        """The last tick judged before this watch was made, and the highest and lowest bid of its minute."""
        self.minute_ms = tick_ms - tick_ms % MINUTE_MS
        self.high, self.low = extremes or (math.inf, -math.inf)  # unknown: nothing lies beyond
        self._ladders[Side.BID].last = bid
        self._ladders[Side.ASK].last = ask
        self.seq = seq
        self.tick_ms = tick_ms

    # ── arming ────────────────────────────────────────────────────────────────────────────────────

    def arm(self, alert: Alert, *, fresh: bool) -> None:
        """Watch for an alert from the next tick on. ``fresh``: no tick has judged it since it was armed.

        One that was armed or fired at a tick which is still to be judged (again) waits for that one.
        """
        if max(alert.armed_seq, alert.fired_seq) > self.seq:
            self._later.append(alert)
            return
        if alert.condition in MOVING and alert.reference_price == 0:
            self._unset[alert.id] = alert
            return
        ladder = self._ladders[alert.side]
        for kind, level in levels_of(alert):
            ladder.arm(kind, level, alert.id, repeat=_stays(alert), fresh=fresh)
        if _is_special(alert):
            special = self._special[alert.id] = _Special(alert, alert.reference_price)
            if fresh and alert.condition in (Condition.INSIDE, Condition.OUTSIDE):
                self._fresh[alert.id] = special

    def load(self, kind: Kind, side: int, levels: Sequence[float], ids: Sequence[int], repeat: bool) -> None:
        """Watch for many plain alerts at once, judged before."""
        self._ladders[side].load(kind, levels, ids, repeat=repeat)

    def disarm(self, alert: Alert) -> bool:
        """Watch for an alert no more; whether it was watched for."""
        if self._unset.pop(alert.id, None) is not None:
            return True
        if any(later.id == alert.id for later in self._later):
            self._later = [later for later in self._later if later.id != alert.id]
            return True
        special = self._special.pop(alert.id, None)
        self._fresh.pop(alert.id, None)
        reference = special.reference if special else alert.reference_price
        ladder = self._ladders[alert.side]
        found = True
        for kind, level in levels_of(alert, reference):
            found &= ladder.disarm(kind, level, alert.id)
        return found

    # ── ticks ─────────────────────────────────────────────────────────────────────────────────────

    def run(self, batch: Batch, referenced: list[Referenced]) -> list[Hit]:
        """Judge the ticks of a batch: the hits in order of ticks, bid before ask, then along the move."""
        ticks = batch.ticks
        hits: list[Hit] = []
        if batch.hole is not None:
            if batch.hole.last < batch.hole.first:
                self._arm_due(INT64_MAX)  # market counts anew: the ticks they waited for are gone
            hits += self._judge(ticks[:1], Mark.GAP, referenced)
            ticks = ticks[1:]
        if ticks:
            hits += self._judge(ticks, Mark.MERGED if batch.merged else Mark.NONE, referenced)
        self.dirty = True
        return hits

    def recover(self, ticks: Sequence[Quote], referenced: list[Referenced]) -> list[Hit]:
        """Judge what candles tell of ticks that are gone."""
        return self._judge(ticks, Mark.CANDLES, referenced) if ticks else []

    def _marked(self, hit: Hit) -> Hit:
        late = hit.mark is Mark.NONE and hit.seq <= self.caught_up_to
        return hit._replace(mark=Mark.CAUGHT_UP) if late else hit

    def _judge(self, ticks: Sequence[Quote], mark: Mark, referenced: list[Referenced]) -> list[Hit]:
        if self._special or self._later or self._unset:
            hits = self._judge_specially(ticks, mark, referenced)
        else:
            hits = self._judge_plainly(ticks, mark)
        last = ticks[-1]
        self.seq = last.seq
        self.tick_ms = last.ctm_ms
        self._note(ticks)
        if hits and hits[0].seq <= self.caught_up_to:
            hits = [self._marked(hit) for hit in hits]
        return hits

    def _note(self, ticks: Sequence[Quote]) -> None:
        """Remember the highest and lowest bid of the minute under way."""
        minute_ms = self.tick_ms - self.tick_ms % MINUTE_MS
        if minute_ms != self.minute_ms:
            self.minute_ms, self.high, self.low = minute_ms, -math.inf, math.inf
        if len(ticks) == 1 or ticks[0].ctm_ms >= minute_ms:
            bids = [tick.bid for tick in ticks]
        else:
            bids = [tick.bid for tick in ticks if tick.ctm_ms >= minute_ms]
        self.high = max(self.high, *bids)
        self.low = min(self.low, *bids)

    def _judge_plainly(self, ticks: Iterable[Quote], mark: Mark) -> list[Hit]:
        """The hot path: a tick that fires nothing costs two comparisons a side."""
        hits: list[Hit] = []
        move_bid, move_ask = (ladder.move for ladder in self._ladders)
        for tick in ticks:
            ids = move_bid(tick.bid)
            if ids:
                hits += [Hit(id, tick.bid, tick.seq, mark, tick.ctm_ms) for id in ids]
            ids = move_ask(tick.ask)
            if ids:
                hits += [Hit(id, tick.ask, tick.seq, mark, tick.ctm_ms) for id in ids]
        return hits

    def _judge_specially(self, ticks: Iterable[Quote], mark: Mark, referenced: list[Referenced]) -> list[Hit]:
        hits: list[Hit] = []
        for tick in ticks:
            if self._later:
                self._arm_due(tick.seq)
            for side, price in ((Side.BID, tick.bid), (Side.ASK, tick.ask)):
                ladder = self._ladders[side]
                before = ladder.last
                fresh = self._judge_fresh(side, price)
                for id in ladder.move(price):
                    if id not in fresh and self._is_hit(id, before, price):
                        hits.append(Hit(id, price, tick.seq, mark, tick.ctm_ms))
                        self._after_hit(id, price)
                for id in fresh:
                    hits.append(Hit(id, price, tick.seq, mark, tick.ctm_ms))
                    self._after_hit(id, price)
            if self._unset:
                self._set_references(tick, referenced)
        return hits

    def _is_hit(self, id: int, before: float | None, price: float) -> bool:
        special = self._special.get(id)
        return (
            special is None or special.alert.condition not in CHANNEL or meets(special.alert, before, price)
        )

    def _judge_fresh(self, side: Side, price: float) -> list[int]:
        """The ids of channel conditions that hold at the first tick they see."""
        if not self._fresh:
            return []
        due = [special for special in self._fresh.values() if special.alert.side == side]
        for special in due:
            del self._fresh[special.alert.id]
        return sorted(s.alert.id for s in due if meets(s.alert, None, price))

    def _after_hit(self, id: int, price: float) -> None:
        """What a level in the book does not do by itself: end its other half, move the reference on."""
        special = self._special.get(id)
        if special is None:
            return
        if not special.alert.repeats:
            self.disarm(special.alert)
        elif special.alert.condition in MOVING:
            special.reference = price
            ladder = self._ladders[special.alert.side]
            for kind, level in levels_of(special.alert, price):
                ladder.arm(kind, level, id, fresh=False)

    def _set_references(self, tick: Quote, referenced: list[Referenced]) -> None:
        for alert in self._unset.values():
            price = tick.bid if alert.side == Side.BID else tick.ask
            referenced.append(Referenced(alert.id, price))
        waiting, self._unset = self._unset, {}
        for alert in waiting.values():
            price = tick.bid if alert.side == Side.BID else tick.ask
            self.arm(msgspec.structs.replace(alert, reference_price=price), fresh=False)

    def _arm_due(self, next_seq: int) -> None:
        """Arm what waited for the tick before ``next_seq``."""
        due = [a for a in self._later if max(a.armed_seq, a.fired_seq) < next_seq]
        if not due:
            return
        self._later = [a for a in self._later if max(a.armed_seq, a.fired_seq) >= next_seq]
        before, self.seq = self.seq, next_seq - 1
        for alert in due:
            self.arm(alert, fresh=alert.armed_seq >= alert.fired_seq)
        self.seq = before


def _stays(alert: Alert) -> bool:
    """Whether a level stays in the book when it fires: one that is half of an alert is taken out by hand."""
    if alert.condition in CHANNEL or alert.condition == Condition.CROSSING:
        return True
    return alert.repeats and alert.condition not in MOVING


def _is_special(alert: Alert) -> bool:
    """Whether something is left to do when a level of the alert fires."""
    if alert.condition in CHANNEL:
        return True
    return alert.repeats if alert.condition in MOVING else _stays(alert) and not alert.repeats


class AlertBook:
    """The watches of a house by (price profile, symbol)."""

    def __init__(self) -> None:
        self.watches: dict[Key, Watch] = {}
        self.lags: dict[Key, int] = {}  # the newest tick known of where that is not the newest one judged

    def watch(self, profile: str, symbol: str) -> Watch:
        """The watch of a symbol in a profile; made at the first call."""
        key = (profile, symbol)
        found = self.watches.get(key)
        if found is None:
            found = self.watches[key] = Watch(key)
        return found

    def arm(self, alert: Alert, *, fresh: bool) -> None:
        """Watch for an active alert; one whose group can't see its symbol waits unseen."""
        if alert.profile:
            self.watch(alert.profile, alert.symbol).arm(alert, fresh=fresh)

    def newest_seq(self, profile: str, symbol: str) -> int:
        """The newest tick known of: what is armed now is judged from the one after it."""
        return max(self.watch(profile, symbol).seq, self.lags.get((profile, symbol), 0))

    def disarm(self, alert: Alert) -> bool:
        """Watch for an alert no more; whether it was watched for."""
        return not alert.profile or self.watch(alert.profile, alert.symbol).disarm(alert)

    def __len__(self) -> int:
        return sum(map(len, self.watches.values()))
