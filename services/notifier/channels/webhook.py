"""Webhooks of people's own programs, signed by Standard Webhooks (standardwebhooks.com)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from services.notifier.channels.base import Address, Outcome, Outgoing, Proof, Target, TargetInvalid
from services.notifier.channels.outbound import (
    CallRefused,
    NoAnswer,
    NotSent,
    Outbound,
    outcome_of,
    outcome_of_failure,
)
from services.notifier.rates import Rate
from services.notifier.vault import Vault

VERIFY_TYPE = "channel.verify"


class WebhookChannel:
    """Calls to one address. ``webhook-id`` is the same on every attempt: a receiver drops repeats by it."""

    name = "webhook"
    for_people = False
    proof: Proof = "echo"
    recipient_rate = Rate(20, 1, burst=100)
    channel_rate: Rate | None = None
    hint = (
        "Answer our call of type channel.verify with the code in its data, or give the code within "
        "15 minutes. Calls are signed with the secret (standardwebhooks.com)."
    )
    is_on = True

    def __init__(self, outbound: Outbound, vault: Vault, now: Callable[[], datetime]) -> None:
        self._outbound = outbound
        self._vault = vault
        self._now = now

    def read_target(self, text: str) -> Target:
        """An https address; whether its host may be called is judged at each call."""
        try:
            url = self._outbound.check_url(text)
        except CallRefused as e:
            raise TargetInvalid(f"target is an https address: {e}", "https://…") from e
        return Target(str(url), f"{url.origin()}/***")

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One call. Any 2xx is a yes; 410 says that the address is gone (Standard Webhooks)."""
        body = payload_of(message)
        now = self._now()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signatures(message.id, now, body, to),
        }
        if message.traceparent:
            headers["traceparent"] = message.traceparent
        try:
            answer = await self._outbound.to_anywhere(to.value, body, headers)
        except (CallRefused, NotSent, NoAnswer) as e:
            return outcome_of_failure(e)
        return outcome_of(answer, gone=frozenset({410}))

    def _signatures(self, message_id: str, now: datetime, body: bytes, to: Address) -> str:
        """One signature per secret in force, the newest first."""
        from standardwebhooks import Webhook

        secrets = [self._vault.webhook_secret(to.recipient_id, g) for g in to.generations]
        return " ".join(Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets)

    async def close(self) -> None:
        """Every call has a connection of its own."""


def payload_of(message: Outgoing) -> bytes:
    """The body: ``id``, ``type``, ``timestamp`` of the event (and again as ``created_at``), and its ``data``;
    ``login`` is in it where the event is about a trading account."""
    at = datetime.fromtimestamp(message.created_ms / 1000, UTC).isoformat(timespec="milliseconds")
    at = at.replace("+00:00", "Z")
    return msgspec.json.encode(
        {
            "id": message.id,
            "type": message.type,
            "timestamp": at,
            "created_at": at,
            "data": {
                **message.data,
                **({"login": message.login} if message.login else {}),
                "level": message.level,
                "title": message.title,
                "text": message.text,
            },
        }
    )
