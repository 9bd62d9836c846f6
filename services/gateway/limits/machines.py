"""Which machines there are, and which of them counts for all. Pure.

The machine that has been there longest counts (of two of the same moment the one with the lower number): a
machine that comes changes nothing, and all agree as soon as they have heard of one another. A machine that
has not been heard for ``SILENT_S``, or does not answer, is left out until it is heard again.
"""

from __future__ import annotations

SILENT_S = 3.5  # processes speak every second


class Machines:
    """One per process. Times are monotonic seconds, but for ``since_ms``."""

    def __init__(self, own: int, since_ms: int) -> None:
        self.own = own
        self.since_ms = since_ms
        self._others: dict[int, tuple[int, float]] = {}  # machine → since when, last heard
        self._first: int | None = None

    @property
    def counting(self) -> int | None:
        """The machine that counts for all; None: this one."""
        return self._first

    def heard(self, machine: int, since_ms: int, now_s: float) -> bool:
        """A process is there; whether its machine is new here. A sibling of ours may know an earlier
        beginning."""
        if machine == self.own:
            if since_ms < self.since_ms:
                self.since_ms = since_ms
                self._choose()
            return False
        known = self._others.get(machine)
        since_ms = min(since_ms, known[0]) if known is not None else since_ms
        self._others[machine] = (since_ms, now_s)
        if known is None or known[0] != since_ms:
            self._choose()
        return known is None

    def gone(self, machine: int) -> None:
        """It does not answer."""
        if self._others.pop(machine, None) is not None:
            self._choose()

    def look(self, now_s: float) -> None:
        """Leave out who has been silent for too long."""
        for machine in [m for m, (_, heard_s) in self._others.items() if now_s - heard_s > SILENT_S]:
            self.gone(machine)

    def _choose(self) -> None:
        ranked = ((since_ms, machine) for machine, (since_ms, _) in self._others.items())
        first = min(ranked, default=None)
        self._first = first[1] if first is not None and first < (self.since_ms, self.own) else None
