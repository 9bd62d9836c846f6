"""The load: quotes published to a nats-server in small bursts, as the market service does.

The place of the exchange time in milliseconds carries a monotonic stamp in nanoseconds, taken when
the quote is made, so a listener on the same machine can tell its age.
"""

from __future__ import annotations

import asyncio
import time

import nats
import uvloop

from bench.children import answer_lines, read_line, write_line
from libs.common.subjects import QUOTE

PROFILE = "raw"


def symbol(number: int) -> str:
    """The name of the n-th symbol; all are of one length."""
    return f"SYM{number:03d}"


class Feed:
    """Publishes round robin over the symbols, ``rate`` a second in all, every ``burst_s`` what is due."""

    def __init__(self, connection: nats.NATS, symbols: int, rate: float, burst_s: float) -> None:
        self._connection = connection
        self._subjects = [QUOTE.at(profile=PROFILE, symbol=symbol(n)) for n in range(symbols)]
        self._names = [symbol(n) for n in range(symbols)]
        self._rate = rate
        self._burst_s = burst_s
        self.sent = 0
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Publish until stopped. A late burst is made up for, never skipped."""
        started_s = time.monotonic()
        while not self._stopped.is_set():
            due = int((time.monotonic() - started_s) * self._rate)
            for _ in range(due - self.sent):
                await self._publish()
            next_s = started_s + max((self.sent + 1) / self._rate, (due / self._rate) + self._burst_s)
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        await self._connection.flush()

    async def _publish(self) -> None:
        number, count = self.sent % len(self._subjects), self.sent // len(self._subjects)
        quote = b'["t","%b",1.10001,1.10013,1700000000,%d,%d]' % (
            self._names[number].encode(),
            time.monotonic_ns(),
            count + 1,
        )
        await self._connection.publish(self._subjects[number], quote)
        self.sent += 1

    def stop(self) -> None:
        """Publish no more."""
        self._stopped.set()


async def main() -> None:
    """Publish until asked to stop; the answer says how much of each symbol there was."""
    config = read_line()
    connection = await nats.connect(config["nats_url"])
    feed = Feed(connection, config["symbols"], config["rate"], config["burst_s"])
    write_line({})
    running: list[asyncio.Task[None]] = []

    async def answer(message: str) -> dict[str, int]:
        if message == "start":
            running.append(asyncio.create_task(feed.run()))
            return {}
        feed.stop()
        await asyncio.gather(*running)
        return {"sent": feed.sent}

    await answer_lines(answer)


if __name__ == "__main__":
    uvloop.run(main())
