"""X: direct messages of the operator's account, signed with OAuth 1.0a (RFC 5849), whose tokens stay good."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from libs.common.errors import ConfigInvalid
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

TEXT_CHARS_MAX = 10_000
IDS_MAX = 1000
_HANDLE = re.compile(r"@?(\w{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The consumer (app) and the access token of the account that sends."""

    consumer_key: str
    consumer_secret: str
    token: str
    token_secret: str


def read_credentials(text: str) -> Credentials | None:
    """``consumer_key:consumer_secret:access_token:access_secret``; None when nothing is set."""
    if not text:
        return None
    parts = text.split(":")
    if len(parts) != 4 or not all(parts):
        raise ConfigInvalid(
            "TRADEWIND_X_CREDENTIALS can't be used: four parts with colons between them are needed"
        )
    return Credentials(*parts)


def authorization(
    method: str,
    url: str,
    credentials: Credentials,
    *,
    nonce: str,
    timestamp: int,
    form: Mapping[str, str] = {},
) -> str:
    """The Authorization header (RFC 5849, 3.4): HMAC-SHA1 over method, address and parameters."""
    oauth = {
        "oauth_consumer_key": credentials.consumer_key,
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(timestamp),
        "oauth_token": credentials.token,
        "oauth_version": "1.0",
    }
    parts = urlsplit(url)
    pairs = [*oauth.items(), *form.items(), *parse_qsl(parts.query, keep_blank_values=True)]
    parameters = "&".join(
        f"{name}={value}" for name, value in sorted((_quoted(n), _quoted(v)) for n, v in pairs)
    )
    base_url = f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path}"
    base = "&".join(map(_quoted, (method.upper(), base_url, parameters)))
    key = f"{_quoted(credentials.consumer_secret)}&{_quoted(credentials.token_secret)}"
    digest = hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()
    signed = {**oauth, "oauth_signature": base64.b64encode(digest).decode()}
    return "OAuth " + ", ".join(
        f'{_quoted(name)}="{_quoted(value)}"' for name, value in sorted(signed.items())
    )


def _quoted(text: str) -> str:
    return quote(text, safe="-._~")


class XChannel:
    """Direct messages. X delivers them only to those who allow it; the handle is not verified by us."""

    name = "x"
    for_people = True
    proof: Proof = "none"
    recipient_rate = Rate(15, 900, burst=5)
    channel_rate: Rate | None = Rate(60, 900, burst=15)

    def __init__(
        self,
        outbound: Outbound,
        base_url: str,
        credentials: Credentials | None,
        now_s: Callable[[], int],
        nonce: Callable[[], str],
    ) -> None:
        self._outbound = outbound
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._now_s = now_s
        self._nonce = nonce
        self._ids: OrderedDict[str, str] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether there is an account to send from."""
        return self._credentials is not None

    @property
    def hint(self) -> str:
        """What the owner should know."""
        if not self.is_on:
            return "This stack has no X account: its operator sets TRADEWIND_X_CREDENTIALS."
        return "X handles are not verified; allow direct messages from our account to receive them."

    def read_target(self, text: str) -> Target:
        """A handle, with or without @."""
        found = _HANDLE.fullmatch(text.strip())
        if found is None:
            raise TargetInvalid("target is an X handle", "@name")
        return Target(found[1].lower(), f"@{found[1][:2]}***")

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """Look the handle up (once), then one direct message."""
        try:
            user_id = self._ids.get(to.value)
            if user_id is None:
                answer = await self._ask("GET", f"/2/users/by/username/{to.value}")
                user_id = _user_id(answer)
                if user_id is None:
                    return _unknown_handle(answer)
                self._remember(to.value, user_id)
            text = cut_to(f"{message.title}\n\n{message.text}".strip(), TEXT_CHARS_MAX)
            answer = await self._ask("POST", f"/2/dm_conversations/with/{user_id}/messages", {"text": text})
        except (CallRefused, NotSent, NoAnswer) as e:
            return outcome_of_failure(e)
        # 401 speaks of our own credentials; 403 that this person takes no messages from us.
        return outcome_of(answer, refused=frozenset({400, 403}), gone=frozenset({404, 410}))

    def _remember(self, handle: str, user_id: str) -> None:
        self._ids[handle] = user_id
        while len(self._ids) > IDS_MAX:
            self._ids.popitem(last=False)

    async def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Answer:
        if self._credentials is None:
            raise NotSent("no X account is set up")
        url = self._base_url + path
        # A JSON body is no part of what OAuth 1.0a signs.
        signature = authorization(
            method, url, self._credentials, nonce=self._nonce(), timestamp=self._now_s()
        )
        headers = {"Authorization": signature, "Content-Type": "application/json"}
        payload = None if body is None else msgspec.json.encode(body)
        return await self._outbound.to_service(url, payload, headers, method=method)

    async def close(self) -> None:
        """The connections are the outbound's."""


def _user_id(answer: Answer) -> str | None:
    if not answer.is_success:
        return None
    try:
        said = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return None
    data = said.get("data") if isinstance(said, dict) else None
    found = data.get("id") if isinstance(data, dict) else None
    return found if isinstance(found, str) and found.isdigit() else None


def _unknown_handle(answer: Answer) -> Outcome:
    if answer.is_success or answer.status == 404:
        return Outcome(Result.REFUSED, "there is no such handle", gone=True)
    return outcome_of(answer, refused=frozenset({400}), gone=frozenset())
