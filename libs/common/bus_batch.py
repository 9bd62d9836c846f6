"""The bytes of an atomic batch on the wire. Pure.

nats-py checks and formats every message and header by itself, which is most of what publishing a fact costs;
here the parts all messages of a batch share are made once.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.bus import HEADER_ID, Entry

_NO_BREAKS = str.maketrans({"\r": " ", "\n": " "})


def batch_bytes(entries: Sequence[Entry], batch: str) -> bytes:
    """``HPUB`` of each entry as messages 1, 2, … of an atomic batch, without the one that commits it.

    ValueError when a subject is none: it could end the line and begin another command.
    """
    mark = f"Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: "
    parts: list[bytes] = []
    headers, own = None, ""
    for number, entry in enumerate(entries, start=1):
        subject, payload = entry.subject, entry.payload
        if not subject or not subject.isprintable() or " " in subject:
            raise ValueError(f"the subject was {subject!r}")
        if entry.headers is not headers:  # very many may share theirs
            headers = entry.headers
            own = "".join(f"{k}: {_value(v)}\r\n" for k, v in headers.items())
        event_id = f"{HEADER_ID}: {_value(entry.event_id)}\r\n" if entry.event_id else ""
        head = f"NATS/1.0\r\n{own}{event_id}{mark}{number}\r\n\r\n".encode()
        size = len(head)
        parts.append(
            b"HPUB %b %d %d\r\n%b%b\r\n" % (subject.encode(), size, size + len(payload), head, payload)
        )
    return b"".join(parts)


def _value(text: str) -> str:
    """A header's value, which ends where its line ends."""
    return text if text.isprintable() else text.translate(_NO_BREAKS)
