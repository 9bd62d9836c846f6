"""Slack through an incoming webhook. Only its three ids are taken from the address; the host is ours."""

from __future__ import annotations

import re
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

TEXT_CHARS_MAX = 3000
_PATH = re.compile(r"/(services/T\w{1,32}/B\w{1,32}/\w{1,64})/?", re.ASCII)


class SlackChannel:
    """Messages to one Slack channel."""

    name = "slack"
    for_people = True
    proof: Proof = "post"
    recipient_rate = Rate(60, 60, burst=3)
    channel_rate: Rate | None = Rate(50, 1, burst=50)
    hint = "Slack takes a test message."
    is_on = True

    def __init__(self, outbound: Outbound, base_url: str) -> None:
        self._outbound = outbound
        self._base_url = base_url.rstrip("/")
        self._hosts = {"hooks.slack.com", urlsplit(base_url).hostname}

    def read_target(self, text: str) -> Target:
        """``https://hooks.slack.com/services/T…/B…/…``, kept as its path."""
        try:
            parts = urlsplit(text.strip())
            host = parts.hostname
        except ValueError:
            host = None
        found = _PATH.fullmatch(parts.path) if host and host in self._hosts else None
        if found is None or parts.username is not None:
            raise TargetInvalid(
                "target is the address of a Slack incoming webhook", "https://hooks.slack.com/services/…"
            )
        return Target(found[1], f"https://{host}/{found[1].rsplit('/', 1)[0]}/***")

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One message; what people wrote can't mention or link."""
        text = f"*{_escaped(message.title)}*\n{_escaped(message.text)}".strip()
        body = {"text": cut_to(text, TEXT_CHARS_MAX), "unfurl_links": False, "unfurl_media": False}
        try:
            answer = await self._outbound.to_service(
                f"{self._base_url}/{to.value}",
                msgspec.json.encode(body),
                {"Content-Type": "application/json"},
            )
        except (CallRefused, NotSent, NoAnswer) as e:
            return outcome_of_failure(e)
        return outcome_of(answer, refused=frozenset({400, 413}), gone=frozenset({403, 404, 410}))

    async def close(self) -> None:
        """The connections are the outbound's."""


def _escaped(text: str) -> str:
    """Slack's three control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
