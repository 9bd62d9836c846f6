"""ntfy: a topic on the operator's server, or on one a person names (then judged like any foreign address)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

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
from services.notifier.notices import cut_to
from services.notifier.rates import Rate

TEXT_BYTES_MAX = 3500  # ntfy makes an attachment of what is longer than 4096
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NtfyChannel:
    """Messages to one topic. A topic is known to whoever knows its name: it is kept like a secret."""

    name = "ntfy"
    for_people = True
    proof: Proof = "post"
    recipient_rate = Rate(12, 60, burst=30)
    channel_rate: Rate | None = Rate(12, 60, burst=60)
    hint = "Subscribe to the topic: a test message was sent to it."
    is_on = True

    def __init__(self, outbound: Outbound, base_url: str) -> None:
        self._outbound = outbound
        self._base_url = base_url.rstrip("/")

    def read_target(self, text: str) -> Target:
        """A topic, or ``https://server/topic``."""
        given = text.strip()
        if _TOPIC.fullmatch(given):
            return Target(given, f"{given[:2]}***")
        try:
            url = self._outbound.check_url(given)
        except CallRefused as e:
            raise TargetInvalid(f"target is a topic or https://server/topic: {e}", "topic") from e
        topic = url.path.strip("/")
        if not _TOPIC.fullmatch(topic) or url.query_string:
            raise TargetInvalid("target is a topic or https://server/topic", "topic")
        return Target(str(url.with_path(f"/{topic}")), f"{url.origin()}/{topic[:2]}***")

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One message, published as JSON to the server's root."""
        server, topic = self._place(to.value)
        body: dict[str, Any] = {
            "topic": topic,
            "title": cut_to(message.title, 200),
            "message": _within(message.text or message.title),
            "priority": 4 if message.level >= 20 else 3,
        }
        payload = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        try:
            if server == self._base_url:
                answer = await self._outbound.to_service(f"{server}/", payload, headers)
            else:
                answer = await self._outbound.to_anywhere(f"{server}/", payload, headers)
        except (CallRefused, NotSent, NoAnswer) as e:
            return outcome_of_failure(e)
        return outcome_of(answer, refused=frozenset({400, 413}), gone=frozenset({401, 403, 404, 410}))

    def _place(self, value: str) -> tuple[str, str]:
        if _TOPIC.fullmatch(value):
            return self._base_url, value
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/")

    async def close(self) -> None:
        """The connections are the outbound's."""


def _within(text: str) -> str:
    raw = text.encode()
    return text if len(raw) <= TEXT_BYTES_MAX else raw[:TEXT_BYTES_MAX].decode(errors="ignore") + "…"
