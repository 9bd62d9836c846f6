"""Telegram through the Bot API: messages to a chat, and the codes people send to the bot to bind one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from services.notifier.channels.base import Address, Outcome, Outgoing, Proof, Result, Target, TargetInvalid
from services.notifier.channels.outbound import (
    Answer,
    CallRefused,
    NoAnswer,
    NotSent,
    Outbound,
    outcome_of,
    outcome_of_failure,
)
from services.notifier.notices import cut_to
from services.notifier.rates import Rate
from services.notifier.verification import read_code

TEXT_CHARS_MAX = 4096
POLL_S = 20
_ANSWER_BYTES_MAX = 1024 * 1024
_NAME = re.compile(r"@?([A-Za-z][A-Za-z0-9_]{0,31})")
# 401 and 404 speak of our own token: the operator's to mend, the message waits.
_GONE_TEXTS = (
    "chat not found",
    "user is deactivated",
    "bot was blocked",
    "bot was kicked",
    "peer_id_invalid",
)


@dataclass(frozen=True, slots=True)
class Heard:
    """A code somebody sent to the bot: in which chat, and under which user name (folded, without @)."""

    code: str
    chat_id: int
    username: str


class TelegramChannel:
    """Messages of the operator's bot."""

    name = "telegram"
    for_people = True
    proof: Proof = "reply"
    recipient_rate = Rate(20, 60, burst=3)
    channel_rate: Rate | None = Rate(25, 1, burst=25)

    def __init__(self, outbound: Outbound, base_url: str, token: str) -> None:
        self._outbound = outbound
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._offset = 0
        self._bot = ""

    @property
    def is_on(self) -> bool:
        """Whether there is a bot."""
        return bool(self._token)

    @property
    def hint(self) -> str:
        """What the owner does to prove the chat."""
        if not self.is_on:
            return "This stack has no Telegram bot: its operator sets TRADEWIND_TELEGRAM_BOT_TOKEN."
        bot = f"@{self._bot}" if self._bot else "our bot"
        return f"Send /start {{code}} to {bot} on Telegram within 15 minutes."

    def read_target(self, text: str) -> Target:
        """A user name, with or without @."""
        found = _NAME.fullmatch(text.strip())
        if found is None:
            raise TargetInvalid("target is a Telegram user name", "@name")
        name = found[1].lower()
        return Target(f"@{name}", f"@{found[1][:2]}***")

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One message to a chat."""
        text = cut_to(f"{message.title}\n\n{message.text}".strip(), TEXT_CHARS_MAX)
        body = {"chat_id": to.value, "text": text, "link_preview_options": {"is_disabled": True}}
        try:
            answer = await self._ask("sendMessage", body)
        except (CallRefused, NotSent, NoAnswer) as e:
            return outcome_of_failure(e)
        return _judge(answer)

    async def learn_name(self) -> None:
        """Ask once who our bot is, for the hint; not knowing it is no harm."""
        if self._bot or not self.is_on:
            return
        try:
            answer = await self._ask("getMe", {})
        except (CallRefused, NotSent, NoAnswer):
            return
        name = _object(_object(_said(answer)).get("result")).get("username")
        if isinstance(name, str) and _NAME.fullmatch(name):
            self._bot = name

    async def listen(self, wait_s: int = POLL_S) -> list[Heard]:
        """Wait up to ``wait_s`` for messages to the bot; the codes in them. NotSent or NoAnswer when away."""
        body = {"offset": self._offset, "limit": 50, "timeout": wait_s, "allowed_updates": ["message"]}
        answer = await self._ask("getUpdates", body, total_s=wait_s + 5.0)
        if not answer.is_success:
            raise NotSent(f"answered {answer.status}")
        heard: list[Heard] = []
        updates = _object(_said(answer)).get("result")
        for update in updates if isinstance(updates, list) else []:
            said = _object(update)
            number = said.get("update_id")
            if isinstance(number, int):
                self._offset = max(self._offset, number + 1)
            found = _code_in(_object(said.get("message")))
            if found is not None:
                heard.append(found)
        return heard

    async def close(self) -> None:
        """The connections are the outbound's."""

    async def _ask(self, method: str, body: Mapping[str, Any], total_s: float | None = None) -> Answer:
        # The token is a part of the address, which therefore is never logged.
        return await self._outbound.to_service(
            f"{self._base_url}/bot{self._token}/{method}",
            msgspec.json.encode(body),
            {"Content-Type": "application/json"},
            total_s=total_s,
            bytes_max=_ANSWER_BYTES_MAX,
        )


def _code_in(message: Mapping[str, Any]) -> Heard | None:
    sender, chat = _object(message.get("from")), _object(message.get("chat"))
    text, chat_id, name = message.get("text"), chat.get("id"), sender.get("username")
    if not isinstance(text, str) or not isinstance(chat_id, int) or not isinstance(name, str):
        return None
    code = read_code(text)
    return None if code is None else Heard(code, chat_id, name.lower())


def _judge(answer: Answer) -> Outcome:
    """Telegram's status codes are coarse: a 400 or 403 says in words whether the chat is lost."""
    if answer.status in (400, 403):
        said = _object(_said(answer))
        text = str(said.get("description", "")).lower()
        if answer.status == 403 or any(part in text for part in _GONE_TEXTS):
            return Outcome(Result.REFUSED, f"answered {answer.status}: the chat is closed to us", gone=True)
        return Outcome(Result.REFUSED, "answered 400")
    if answer.status == 429:
        wait = _object(_object(_said(answer)).get("parameters")).get("retry_after")
        asked = float(wait) if isinstance(wait, int | float) else None
        return Outcome(Result.LATER, "answered 429", retry_after_s=asked)
    return outcome_of(answer, gone=frozenset())


def _said(answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
