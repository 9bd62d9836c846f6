"""Mail over SMTP. The Message-ID is made from the message's id: a repeat is the same mail to who compares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from urllib.parse import unquote, urlsplit

from libs.common.errors import ConfigInvalid, InvalidData
from services.notifier.channels.base import (
    SEND_S_MAX,
    SENT,
    Address,
    Outcome,
    Outgoing,
    Proof,
    Result,
    Target,
    TargetInvalid,
)
from services.notifier.mails import masked, read_address
from services.notifier.rates import Rate

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes out. ``tls`` from the start; otherwise it is taken where the server offers it."""

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = ""

    @property
    def start_tls(self) -> bool | None:
        """Whether to ask for TLS: None takes it where it is offered. No password travels in the clear."""
        if self.tls:
            return False
        return True if self.user and self.host not in _LOOPBACK else None


def read_server(url: str) -> MailServer:
    """``smtp://user:password@host:port`` or ``smtps://…``; ConfigInvalid, without quoting a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigInvalid("TRADEWIND_SMTP_URL can't be used: it is not a URL") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ConfigInvalid(
            "TRADEWIND_SMTP_URL can't be used: it is not smtp://host:port or smtps://host:port"
        )
    tls = parts.scheme == "smtps"
    return MailServer(
        host=parts.hostname,
        port=port or (465 if tls else 25),
        tls=tls,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def read_sender(text: str) -> tuple[str, str]:
    """Name and address of the sender; ConfigInvalid when it is none."""
    try:
        ((name, address),) = getaddresses([text])
        return name, read_address(address)
    except (InvalidData, ValueError):
        raise ConfigInvalid("TRADEWIND_MAIL_FROM can't be used: it is not a mail address") from None


class MailWriter:
    """Makes a message into a mail."""

    def __init__(self, sender: str, now: Callable[[], datetime]) -> None:
        self._name, self.address = read_sender(sender)
        self._domain = self.address.partition("@")[2]
        self._now = now

    def mail(self, message: Outgoing, to: str) -> EmailMessage:
        """The mail, with the same Message-ID for the same message and address."""
        mail = EmailMessage()
        mail["From"] = f"{self._name} <{self.address}>" if self._name else self.address
        mail["To"] = to
        mail["Subject"] = message.title
        mail["Date"] = format_datetime(self._now())
        digest = hashlib.sha256(f"{message.id}\n{to}".encode()).hexdigest()[:32]
        mail["Message-ID"] = f"<{digest}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Tradewind-Id"] = message.id
        mail.set_content(message.text + "\n")
        return mail


class EmailChannel:
    """Mail to the account's own address."""

    name = "email"
    for_people = True
    proof: Proof = "account"
    recipient_rate = Rate(30, 3600, burst=10)
    channel_rate: Rate | None = Rate(20, 1, burst=40)
    hint = "Mail goes to the address of your account."
    is_on = True

    def __init__(self, server: MailServer, writer: MailWriter) -> None:
        self._server = server
        self._writer = writer

    def read_target(self, text: str) -> Target:
        """A mail address."""
        try:
            address = read_address(text)
        except InvalidData as e:
            raise TargetInvalid("target is a mail address", "name@example.com") from e
        return Target(address, masked(address))

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One mail in one session with the server."""
        import aiosmtplib

        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=server.start_tls,
            timeout=SEND_S_MAX / 2,  # of each step; the courier bounds the whole
            username=server.user or None,
            password=server.password or None,
        )
        handed_over = False
        try:
            await client.connect()
            handed_over = True
            await client.send_message(
                self._writer.mail(message, to.value), sender=self._writer.address, recipients=[to.value]
            )
        except aiosmtplib.SMTPRecipientsRefused as e:
            return _judge(e.recipients[0].code, "the address")
        except aiosmtplib.SMTPResponseException as e:
            return _judge(e.code, "the mail")
        except aiosmtplib.SMTPNotSupported:
            if not to.value.isascii():
                return Outcome(Result.REFUSED, "the mail server takes no address in this script")
            return Outcome(Result.LATER, "the mail server lacks TLS or a way to sign in")
        except aiosmtplib.SMTPConnectError as e:
            return Outcome(Result.LATER, f"no mail server ({type(e).__name__})")
        except aiosmtplib.SMTPServerDisconnected:
            kind = Result.UNKNOWN if handed_over else Result.LATER
            return Outcome(kind, "the mail server hung up")
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            return Outcome(
                Result.UNKNOWN if handed_over else Result.LATER, "the mail server did not answer in time"
            )
        except (aiosmtplib.SMTPException, OSError) as e:
            return Outcome(Result.LATER, f"the mail server could not be used ({type(e).__name__})")
        finally:
            client.close()
        return SENT

    async def close(self) -> None:
        """Nothing is kept open."""


def _judge(code: int, what: str) -> Outcome:
    """A reply code of SMTP: 5xx is for good, but for what says that we are not let in (421, 530, 535…)."""
    reason = f"the mail server refused {what}: {code}"
    if code in (530, 534, 535, 538) or code < 500:
        return Outcome(Result.LATER, reason)
    return Outcome(Result.REFUSED, reason)
