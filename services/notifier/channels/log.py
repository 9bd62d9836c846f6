"""For development: stands in for mail where no mail server is set. Mails become files; the log says so.

The files hold what the mails would hold, codes too; so they are readable by their owner only and the newest
``FILES_MAX`` are kept.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import structlog

from libs.common.errors import InvalidData
from services.notifier.channels.base import (
    SENT,
    Address,
    Outcome,
    Outgoing,
    Proof,
    Result,
    Target,
    TargetInvalid,
)
from services.notifier.channels.email import MailWriter
from services.notifier.mails import masked, read_address
from services.notifier.rates import Rate

log = structlog.get_logger()

FILES_MAX = 200


class LogChannel:
    """Writes ``<time>-<id>.eml`` into a folder."""

    name = "email"
    for_people = True
    proof: Proof = "account"
    recipient_rate = Rate(30, 3600, burst=10)
    channel_rate: Rate | None = None
    hint = "This stack has no mail server: mails are written to files on the server."
    is_on = True

    def __init__(self, folder: Path, writer: MailWriter) -> None:
        self._folder = folder
        self._writer = writer

    def read_target(self, text: str) -> Target:
        """A mail address."""
        try:
            address = read_address(text)
        except InvalidData as e:
            raise TargetInvalid("target is a mail address", "name@example.com") from e
        return Target(address, masked(address))

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One file; the same message writes the same file again."""
        safe = re.sub(r"[^A-Za-z0-9-]", "-", message.id)[:80]
        name = f"{message.created_ms}-{to.recipient_id}-{safe}.eml"
        try:
            await asyncio.to_thread(self._write, name, bytes(self._writer.mail(message, to.value)))
        except OSError as e:
            return Outcome(Result.LATER, f"the file could not be written ({type(e).__name__})")
        log.info("mail written to a file", file=f"mail/{name}", to=masked(to.value))
        return SENT

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f".{name}.part"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        part.replace(self._folder / name)
        for old in sorted(self._folder.glob("*.eml"))[:-FILES_MAX]:
            old.unlink(missing_ok=True)

    async def close(self) -> None:
        """Nothing is kept open."""
