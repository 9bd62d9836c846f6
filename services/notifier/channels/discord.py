"""Discord through a channel's webhook. Only its id and token are taken from the address; the host is ours."""

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
    retry_after_s,
)
from services.notifier.notices import cut_to
from services.notifier.rates import Rate

TEXT_CHARS_MAX = 2000
_HOSTS = frozenset({"discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com"})
_PATH = re.compile(r"/(?:api/)?(?:v\d+/)?webhooks/(\d{1,20})/([A-Za-z0-9_-]{1,128})/?")


class DiscordChannel:
    """Messages to one Discord channel."""

    name = "discord"
    for_people = True
    proof: Proof = "post"
    recipient_rate = Rate(30, 60, burst=5)
    channel_rate: Rate | None = Rate(40, 1, burst=40)
    hint = "Discord takes a test message."
    is_on = True

    def __init__(self, outbound: Outbound, base_url: str) -> None:
        self._outbound = outbound
        self._base_url = base_url.rstrip("/")
        own = urlsplit(base_url).hostname or ""
        self._hosts = _HOSTS if own in _HOSTS else _HOSTS | {own}

    def read_target(self, text: str) -> Target:
        """``https://discord.com/api/webhooks/<id>/<token>``, kept as ``<id>/<token>``."""
        try:
            parts = urlsplit(text.strip())
            host = parts.hostname
        except ValueError:
            host = None
        found = _PATH.fullmatch(parts.path) if host in self._hosts else None
        if found is None or parts.username is not None:
            raise TargetInvalid(
                "target is the address of a Discord webhook", "https://discord.com/api/webhooks/…"
            )
        return Target(f"{found[1]}/{found[2]}", f"https://{host}/api/webhooks/{found[1]}/***")

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One message; mentions in what people wrote reach nobody."""
        body: dict[str, Any] = {
            "content": cut_to(f"**{message.title}**\n{message.text}".strip(), TEXT_CHARS_MAX),
            "allowed_mentions": {"parse": []},
        }
        try:
            answer = await self._outbound.to_service(
                f"{self._base_url}/webhooks/{to.value}?wait=true",
                msgspec.json.encode(body),
                {"Content-Type": "application/json"},
            )
        except (CallRefused, NotSent, NoAnswer) as e:
            return outcome_of_failure(e)
        outcome = outcome_of(answer, refused=frozenset({400, 413}), gone=frozenset({401, 403, 404, 410}))
        if answer.status == 429 and outcome.retry_after_s is None:
            return Outcome(outcome.result, outcome.reason, retry_after_s=_asked(answer.body))
        return outcome

    async def close(self) -> None:
        """The connections are the outbound's."""


def _asked(body: bytes) -> float | None:
    """``retry_after`` of Discord's own body, in seconds."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return retry_after_s(str(said.get("retry_after"))) if isinstance(said, dict) else None
