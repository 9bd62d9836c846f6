"""Mail over TLS: taken where it is offered, from the start with smtps, and no password without it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from services.notifier.channels.base import Address, Outcome, Outgoing, Result
from services.notifier.channels.email import EmailChannel, MailWriter, read_server
from tests.certificates import served_with, write_certificate
from tests.integration.notifier.receivers import MailBox

MESSAGE = Outgoing(id="1", type="t", title="T", text="x", created_ms=0)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 and 127.0.0.2, and the server's side of it."""
    path = write_certificate(tmp_path, "mail", "127.0.0.1", "127.0.0.2")
    return path, served_with(path)


class Door:
    """Who signed in, over what."""

    def __init__(self) -> None:
        self.signed_in: list[tuple[bytes, bool]] = []

    def __call__(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.signed_in.append((data.password, session.ssl is not None))
        return AuthResult(success=data.password == b"hunter2")


@asynccontextmanager
async def mail_server(
    box: MailBox, door: Door, *, starttls: Any = None, tls: Any = None
) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(box, authenticator=door, auth_require_tls=False, tls_context=starttls, loop=loop)

    server = await loop.create_server(protocol, "127.0.0.2", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def sent_to(url: str) -> Outcome:
    writer = MailWriter("a@example.com", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return await EmailChannel(read_server(url), writer).send(MESSAGE, Address(1, "b@example.com"))


async def test_tls_is_taken_where_it_is_offered_and_a_password_goes_through_it(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    box, door = MailBox(), Door()
    async with mail_server(box, door, starttls=certificate[1]) as port:
        outcome = await sent_to(f"smtp://me:hunter2@127.0.0.2:{port}")
    assert (outcome.result, outcome.reason) == (Result.SENT, "")
    assert door.signed_in == [(b"hunter2", True)]
    assert len(box.mails) == 1


async def test_smtps_is_tls_from_the_start(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    box, door = MailBox(), Door()
    async with mail_server(box, door, tls=certificate[1]) as port:
        assert (await sent_to(f"smtps://127.0.0.2:{port}")).result is Result.SENT
    assert len(box.mails) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_nobody_vouches_for_is_not_spoken_to(
    certificate: tuple[Path, ssl.SSLContext], scheme: str
) -> None:
    box, door = MailBox(), Door()
    side = {"starttls": certificate[1]} if scheme == "smtp" else {"tls": certificate[1]}
    async with mail_server(box, door, **side) as port:
        outcome = await sent_to(f"{scheme}://me:hunter2@127.0.0.2:{port}")
    assert outcome.result in (Result.LATER, Result.UNKNOWN)
    assert (box.mails, door.signed_in) == ([], [])


async def test_without_tls_no_password_leaves_this_machine() -> None:
    box, door = MailBox(), Door()
    async with mail_server(box, door) as port:
        outcome = await sent_to(f"smtp://me:hunter2@127.0.0.2:{port}")
    assert outcome.result is Result.LATER
    assert "hunter2" not in outcome.reason
    assert (box.mails, door.signed_in) == ([], [])


async def test_a_wrong_password_is_the_operators_to_mend_and_the_mail_waits(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    box, door = MailBox(), Door()
    async with mail_server(box, door, starttls=certificate[1]) as port:
        outcome = await sent_to(f"smtp://me:wrong-one@127.0.0.2:{port}")
    assert outcome.result is Result.LATER
    assert box.mails == []
