"""Facts that a service gave up: listed for staff, and handled once more by the service that gave them up.

They stand in the stream of dead letters for 30 days. One that was handled again is taken out of it; the
service that handles it drops what it has done before by the fact's id.
"""

from __future__ import annotations

from libs.common.bus import Bus, Stored
from libs.common.messages.house import FactAgain
from libs.common.messages.notifier import DeadLetter
from libs.common.streams import DEADLETTER_STREAM
from libs.common.subjects import again_of
from services.notifier.errors import DeadLetterNotFound

FACTS_MAX = 1_000  # the newest ones; what is older is listed when these are gone
STEP = 200


class DeadFacts:
    """See the module's text."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def newest(self) -> list[DeadLetter]:
        """The newest ones, newest first."""
        found: list[DeadLetter] = []
        bounds = await self._bus.history(DEADLETTER_STREAM, ">", 2**62, 1)
        last = bounds.last_seq
        while last >= max(bounds.first_seq, 1) and len(found) < FACTS_MAX:
            before = max(0, last - STEP)
            window = await self._bus.history(DEADLETTER_STREAM, ">", before, STEP)
            found += [_letter(stored) for stored in reversed(window.entries) if stored.seq <= last]
            last = before
        return found[:FACTS_MAX]

    async def handle_again(self, seq: int) -> None:
        """Have its service handle one once more; its refusal is the caller's."""
        window = await self._bus.history(DEADLETTER_STREAM, ">", seq - 1, 1)
        if not window.entries or window.entries[0].seq != seq:
            raise DeadLetterNotFound
        stored = window.entries[0]
        headers = stored.headers
        ask = FactAgain(
            consumer=headers.get("Dead-Consumer", ""),
            subject=headers.get("Dead-Subject", ""),
            event_id=headers.get("Dead-Event-Id", ""),
            payload=stored.payload,
        )
        await self._bus.request(again_of(stored.subject.split(".", 1)[0]), ask)
        await self._bus.forget(DEADLETTER_STREAM, seq)


def _letter(stored: Stored) -> DeadLetter:
    headers = stored.headers
    return DeadLetter(
        id=f"fact-{stored.seq}",
        kind="fact",
        state="dead",
        channel=headers.get("Dead-Consumer", ""),
        target_masked="",
        login=0,
        type=headers.get("Dead-Subject", ""),
        event_id=headers.get("Dead-Event-Id", ""),
        attempts=_number(headers.get("Dead-Attempts", "")),
        reason=headers.get("Dead-Reason", ""),
        created_ms=_number(headers.get("Dead-Created-Ms", "")),
        finished_ms=stored.at_ms,
    )


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
