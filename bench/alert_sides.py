"""The sides of ``bench_alerts`` in a process of their own: our book, a numpy scan, Redis sorted sets.

Each takes ticks (bid, ask) of symbols one after the other and says which alerts they fire.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from bench.alert_load import ASK, BID, Load, middle_quote, prices_of
from bench.children import read_line, write_line
from bench.runner import rss_bytes
from libs.common.messages.market import Quote
from libs.common.tick_reader import Batch
from libs.common.trigger_book import Kind
from services.alerts.watch import AlertBook

PIECE = 20_000  # ticks of one turn, as the service takes what has come meanwhile
CHECKED = 40  # ticks of each symbol (at most) by which the sides are compared
PIPELINE = 200  # ticks of one write to Redis where they are gathered

Fired = list[tuple[int, int]]  # (number of the tick, id)


class Book(Protocol):
    """One side. ``prepare`` is outside the measured time, ``run`` inside."""

    def arm(self, load: Load) -> None: ...

    def prepare(self, ticks: Sequence[tuple[int, int]]) -> Any:
        """From (symbol, bid in points)."""

    def run(self, prepared: Any) -> Fired: ...


class Ours:
    """The book of the alerts service, run as the service runs it."""

    def __init__(self) -> None:
        self._book = AlertBook()
        self._seq = 0

    def arm(self, load: Load) -> None:
        quote = middle_quote()
        for number, repeating in enumerate(load.repeating):
            watch = self._book.watch("raw", f"SYM{number}")
            watch.start(quote["bid"], quote["ask"], 0, 0)
            for side, up, ids, prices in load.levels(number):
                kind = Kind.TOUCH_UP if up else Kind.TOUCH_DOWN
                watch.load(kind, side, prices.tolist(), ids.tolist(), False)
            watch.load(Kind.TOUCH_UP, BID, [repeating.price], [repeating.id], True)

    def prepare(self, ticks: Sequence[tuple[int, int]]) -> list[Batch]:
        by_symbol: dict[int, list[Quote]] = {}
        for at, (number, points) in enumerate(ticks):
            quote = Quote("t", f"SYM{number}", *prices_of(points), 0, 0, at)
            by_symbol.setdefault(number, []).append(quote)
        return [Batch("raw", f"SYM{number}", quotes) for number, quotes in by_symbol.items()]

    def run(self, prepared: list[Batch]) -> Fired:
        fired: Fired = []
        for batch in prepared:
            hits = self._book.watch(batch.profile, batch.symbol).run(batch, [])
            if hits:
                fired += [(hit.seq, hit.alert_id) for hit in hits]
        return fired


class Scan:
    """Every level of the symbol is compared with every tick, by numpy, in the direction of the move."""

    def arm(self, load: Load) -> None:
        quote = middle_quote()
        self._last = [[quote["bid"], quote["ask"]] for _ in range(load.symbols)]
        self._levels: list[list[list[tuple[Any, Any]]]] = []
        for number, repeating in enumerate(load.repeating):
            sides: list[list[tuple[Any, Any]]] = [[], []]
            for side, up, ids, prices in load.levels(number):
                own = [repeating] if side == BID and up else []
                every_id = np.append(ids, [level.id for level in own]).astype(np.int64)
                sides[side].append((every_id, np.append(prices, [level.price for level in own])))
            self._levels.append(sides)

    def prepare(self, ticks: Sequence[tuple[int, int]]) -> list[tuple[int, tuple[float, float]]]:
        return [(number, prices_of(points)) for number, points in ticks]

    def run(self, prepared: list[tuple[int, tuple[float, float]]]) -> Fired:
        fired: Fired = []
        for at, (number, prices) in enumerate(prepared):
            last = self._last[number]
            for side in (BID, ASK):
                before, price = last[side], prices[side]
                ids, levels = self._levels[number][side][0 if price > before else 1]
                if price > before:
                    met = ids[(levels > before) & (levels <= price)]
                else:
                    met = ids[(levels < before) & (levels >= price)]
                if len(met):
                    fired += [(at, int(id)) for id in met]
                last[side] = price
        return fired


class Redis:
    """A sorted set per symbol, side and direction; a tick asks each side for the levels it passed.

    ``gathered`` ticks are asked for in one write: 1 is what an application does that acts on a tick.
    """

    def __init__(self, path: str, gathered: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._gathered = gathered
        self._pending = b""

    def arm(self, load: Load) -> None:
        self._ask([_command(b"FLUSHALL")], 1)
        quote = middle_quote()
        self._last = [[quote["bid"], quote["ask"]] for _ in range(load.symbols)]
        for number, repeating in enumerate(load.repeating):
            for side, up, ids, prices in load.levels(number):
                self._add(_key(number, side, up), ids.tolist(), prices.tolist())
            self._add(_key(number, BID, True), [repeating.id], [repeating.price])

    def _add(self, key: bytes, ids: list[int], prices: list[float]) -> None:
        for start in range(0, len(ids), 1_000):
            pairs: list[bytes] = []
            for id, price in zip(ids[start : start + 1_000], prices[start : start + 1_000], strict=True):
                pairs += (b"%r" % price, b"%d" % id)
            self._ask([_command(b"ZADD", key, *pairs)], 1)

    def prepare(self, ticks: Sequence[tuple[int, int]]) -> list[tuple[list[int], list[bytes]]]:
        """The commands of each write, encoded beforehand: what is measured is Redis and reading answers."""
        writes = []
        for start in range(0, len(ticks), self._gathered):
            part = ticks[start : start + self._gathered]
            commands = [c for number, points in part for c in self._commands(number, prices_of(points))]
            writes.append(([start + at for at in range(len(part)) for _ in (BID, ASK)], commands))
        return writes

    def _commands(self, number: int, prices: tuple[float, float]) -> list[bytes]:
        commands = []
        last = self._last[number]
        for side in (BID, ASK):
            before, price = last[side], prices[side]
            up = price > before
            edges = (b"(%r" % before, b"%r" % price) if up else (b"%r" % price, b"(%r" % before)
            commands.append(_command(b"ZRANGEBYSCORE", _key(number, side, up), *edges))
            last[side] = price
        return commands

    def run(self, prepared: list[tuple[list[int], list[bytes]]]) -> Fired:
        fired: Fired = []
        for ticks, commands in prepared:
            answers = self._ask(commands, len(commands))
            if answers.count(b"*0\r\n") == len(commands):
                continue
            fired += _fired(ticks, answers)
        return fired

    def _ask(self, commands: list[bytes], answers: int) -> bytes:
        self._socket.sendall(b"".join(commands))
        heard = b""
        while True:
            heard += self._socket.recv(1 << 20)
            if _complete(heard, answers):
                return heard


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _key(number: int, side: int, up: bool) -> bytes:
    return b"%d:%d:%d" % (number, side, up)


def _complete(heard: bytes, answers: int) -> bool:
    """Whether so many answers (arrays of bulk strings, or single lines) are there whole."""
    if heard == b"*0\r\n" * answers:
        return True
    return len(_lines(heard)) >= answers if heard.endswith(b"\r\n") else False


def _lines(heard: bytes) -> list[list[int]]:
    """The ids of each whole answer."""
    words = heard.split(b"\r\n")[:-1]
    found: list[list[int]] = []
    at = 0
    while at < len(words):
        if not words[at].startswith(b"*"):
            if words[at].startswith(b"-"):
                raise RuntimeError(words[at].decode())
            found.append([])
            at += 1
            continue
        count = int(words[at][1:])
        if at + 2 * count >= len(words):
            break
        found.append([int(word) for word in words[at + 2 : at + 1 + 2 * count : 2]])
        at += 1 + 2 * count
    return found


def _fired(ticks: list[int], answers: bytes) -> Fired:
    return [(tick, id) for tick, ids in zip(ticks, _lines(answers), strict=True) for id in ids]


def _ticks(load: Load, fires: bool, count: int) -> list[tuple[int, int]]:
    walk = load.walk(-(-count // load.symbols), fires)
    return [(number, int(points)) for row in walk for number, points in enumerate(row)][:count]


def measure(book: Book, load: Load, fires: bool, seconds: float) -> dict[str, float]:
    """Ticks a second over as many pieces as fit into ``seconds``.

    Of a side that works in this process alone its CPU time counts, so that what else the machine does is not
    measured; of one that waits for a server the clock on the wall.
    """
    now = time.perf_counter if isinstance(book, Redis) else time.process_time
    piece = PIECE
    took = done = fired = 0.0
    ticks = _ticks(load, fires, piece)
    book.run(book.prepare(ticks[-load.symbols :]))  # to where the walk will begin again
    while took < seconds:
        part = ticks[: piece if done else min(piece, 200)]  # a slow side is not asked for a whole piece
        prepared = book.prepare(part)
        gc.collect()
        gc.disable()
        begun = now()
        found = book.run(prepared)
        used = now() - begun
        gc.enable()
        took, done, fired = took + used, done + len(part), fired + len(found)
        piece = max(200, min(PIECE, int(len(part) / used * seconds)))
    return {"ticks per s": done / took, "fired per 1000 ticks": 1000 * fired / done}


def main() -> None:
    """Arm what is asked for, say what it took, then measure per line ``{fires, seconds}``."""
    config = read_line()
    made: dict[str, Callable[[], Book]] = {
        "ours": Ours,
        "numpy scan": Scan,
        "redis": lambda: Redis(config["redis"], 1),
        "redis pipelined": lambda: Redis(config["redis"], PIPELINE),
    }
    load = Load(config["armed"], config["symbols"])
    book = made[config["side"]]()
    gc.collect()
    before, begun = rss_bytes(os.getpid()), time.perf_counter()
    book.arm(load)
    armed_s = time.perf_counter() - begun
    gc.collect()
    gc.freeze()
    grown = rss_bytes(os.getpid()) - before
    checked = sorted(book.run(book.prepare(_ticks(load, True, CHECKED * min(load.symbols, 50)))))
    write_line(
        {
            "armed_s": armed_s,
            "bytes_per_alert": grown / load.armed,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "checked": checked,
        }
    )
    while True:
        asked = read_line()
        write_line(measure(book, load, asked["fires"], asked["seconds"]))


if __name__ == "__main__":
    main()
