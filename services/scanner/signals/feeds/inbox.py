"""Texts that callers send, signed by Standard Webhooks (standardwebhooks.com). Closed without a secret.

A call is taken within five minutes of its time; one that comes again within them changes nothing, since the
first word about an id holds. The body is what was signed, to the byte.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from standardwebhooks import Webhook

from libs.common.clock import Clock
from libs.common.errors import ConfigInvalid
from libs.common.messages import signals as m
from services.scanner.errors import TextsClosed, TextsUnreadable, TextsUnsigned
from services.scanner.signals.feeds.kept import KeptTexts
from services.scanner.signals.feeds.parsing import URL_MAX, plain
from services.scanner.signals.texts import Document
from services.scanner.times import read_iso

TOLERANCE_S = 300
SIGNATURES_MAX = 16
VERSION = "v1,"
KEY_BYTES_MIN = 24
Short = Annotated[str, Meta(min_length=1, max_length=200)]


class _Given(msgspec.Struct, rename="camel"):
    id: Short
    title: Annotated[str, Meta(min_length=1, max_length=2_000)]
    source: Short
    published_at: Annotated[str, Meta(max_length=64)]
    url: Annotated[str, Meta(max_length=URL_MAX)] = ""
    assets: Annotated[list[Annotated[str, Meta(min_length=1, max_length=32)]], Meta(max_length=20)] = []


class _Body(msgspec.Struct):
    texts: Annotated[list[_Given], Meta(max_length=500)]


_decode = msgspec.json.Decoder(_Body).decode


class Inbox:
    """See the module's text."""

    def __init__(self, kept: KeptTexts, secret: str, clock: Clock) -> None:
        self._kept = kept
        self._clock = clock
        self._signer = _signer(secret)

    async def take(self, call: m.TextsCall) -> m.TextsTaken:
        """Take the texts of a call. Raises TextsClosed, TextsUnsigned, TextsUnreadable."""
        self._check(call)
        try:
            given = _decode(call.body).texts
        except (msgspec.DecodeError, UnicodeError) as e:
            raise TextsUnreadable(f"the body: {e}") from None
        documents = _documents(given)
        taken = await self._kept.add(documents, "webhook")
        return m.TextsTaken(data=m.TextCounts(taken=taken, known=len(documents) - taken))

    def _check(self, call: m.TextsCall) -> None:
        if self._signer is None:
            raise TextsClosed
        if not (call.at.isascii() and call.at.isdecimal() and len(call.at) <= 12 and call.id):
            raise TextsUnsigned("webhook-id, webhook-timestamp and webhook-signature are needed")
        at = datetime.fromtimestamp(int(call.at), UTC)
        if abs((self._clock.now() - at).total_seconds()) > TOLERANCE_S:
            raise TextsUnsigned("webhook-timestamp is more than five minutes from now")
        try:
            expected = self._signer.sign(call.id, at, call.body.decode())
        except UnicodeDecodeError:
            raise TextsUnreadable("the body is not UTF-8") from None
        for signature in call.signature.split(" ")[:SIGNATURES_MAX]:
            same = hmac.compare_digest(expected.encode(), signature.encode())
            if same and signature.startswith(VERSION):
                return
        raise TextsUnsigned("the signature is not that of our secret")


def _signer(secret: str) -> Webhook | None:
    if not secret:
        return None
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < KEY_BYTES_MIN:
        raise ConfigInvalid(
            f"TRADEWIND_TEXTS_SECRET: whsec_ and at least {KEY_BYTES_MIN} bytes in base64 (Standard Webhooks)"
        )
    return Webhook(key)


def _documents(given: Sequence[_Given]) -> list[Document]:
    made = []
    for one in given:
        published_ms, title = read_iso(one.published_at), plain(one.title)
        if published_ms is None or not title:
            raise TextsUnreadable(f"texts: {one.id!r} has no title or no time (ISO 8601)")
        made.append(
            Document(
                id=f"call {one.id}",
                title=title,
                source=one.source,
                published_ms=published_ms,
                url=one.url if one.url.startswith(("https://", "http://")) else "",
                assets=tuple(one.assets),
            )
        )
    return made
