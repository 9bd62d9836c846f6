"""Counting one call in everything it counts in, on the tables of this machine.

A call counts in its buckets in their order, up to the first that refuses it. Exactly one bucket is *shown*:
the headers tell of it. A bucket that is not shown is a burst: counted in any second as far as the ring
reaches, else in a window.
"""

from __future__ import annotations

from typing import NamedTuple

from services.gateway.limits.shared import SharedWindows
from services.gateway.limits.spans import RING, SharedSpans
from services.gateway.limits.windows import Rule, Verdict


class Bucket(NamedTuple):
    """One limit that a call counts in."""

    name: str
    rule: Rule
    shown: bool = True


class Counted(NamedTuple):
    """Whether the call may go on; what is left in the shown bucket and when that ends (Unix ms); until when
    the call is refused (Unix ms, 0 when it is not)."""

    taken: bool
    remaining: int
    resets_ms: int
    refused_until_ms: int = 0


Buckets = tuple[Bucket, ...]


class Tables:
    """Windows and bursts of this machine; calls never wait."""

    def __init__(self, windows: SharedWindows, spans: SharedSpans) -> None:
        self._windows = windows
        self._spans = spans
        self.machine = windows.number

    def count(self, buckets: Buckets) -> Counted:
        """Count one call."""
        verdict: Verdict | None = None
        for bucket in buckets:
            found = self._hit(bucket)
            if not found.taken:
                shown = self.look(buckets)
                return Counted(False, shown.remaining, shown.resets_ms, found.resets_ms)
            if bucket.shown:
                verdict = found
        verdict = verdict or self.look(buckets)
        return Counted(True, verdict.remaining, verdict.resets_ms)

    def look(self, buckets: Buckets) -> Verdict:
        """How the shown bucket stands, without counting."""
        bucket = next(b for b in buckets if b.shown)
        return self._windows.look(bucket.name, bucket.rule)

    def learn(self, buckets: Buckets, counted: Counted) -> None:
        """Keep what another machine says of the shown bucket, for those who only look."""
        bucket = next(b for b in buckets if b.shown)
        self._windows.put(bucket.name, bucket.rule, counted.remaining, counted.resets_ms)

    def _hit(self, bucket: Bucket) -> Verdict:
        rule = bucket.rule
        if bucket.shown or rule.count > RING:
            return self._windows.hit(bucket.name, rule)
        return self._spans.hit(bucket.name, rule.count, rule.window_ms)
