"""What clients and receivers get, by its letter: the ``n`` frame, the list, a webhook's signature."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from libs.common.clock import SystemClock
from libs.common.config import ServiceConfig
from libs.common.ids import CountedIds
from libs.common.messages.notifier import Notice, NotificationFrame
from libs.common.subjects import COMMANDS, MAIL_SEND, NOTIFICATION_PUSH
from services.notifier.channels.base import Address, Outgoing, Result
from services.notifier.channels.outbound import Answer, Outbound
from services.notifier.channels.webhook import WebhookChannel, payload_of
from services.notifier.config import NotifierConfig
from services.notifier.notices import Written, frame_of
from services.notifier.service import STRUCTURE
from services.notifier.vault import Vault

texts = st.text(max_size=40)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
datas = st.dictionaries(texts, values, max_size=5)


@given(title=texts, text=texts, level=st.integers(0, 60), code=st.integers(200, 500), data=datas)
def test_an_n_frame_has_the_ten_fields_of_the_contract(
    title: str, text: str, level: int, code: int, data: dict[str, Any]
) -> None:
    notice = Notice(
        event_id="e", login=7, token="MARGIN_CALL", raised_ms=1, level=level, code=code, data=data
    )
    raw = msgspec.json.encode(frame_of(notice, Written(title, text), 1_772_452_800))
    frame = json.loads(raw)
    assert frame == ["n", title, text, "MARGIN_CALL", 1, level, 7, 1_772_452_800, data, code]
    assert msgspec.json.decode(raw, type=NotificationFrame).user_id == 7


def test_the_list_has_the_columns_of_the_contract() -> None:
    names = "id token message create_time open_time type status level description data"
    assert tuple(names.split()) == STRUCTURE


def test_who_may_ask_for_what() -> None:
    own = {c.name: c for c in COMMANDS if c.owner == "notifier"}
    assert set(MAIL_SEND.callers) == {"auth", "billing"}
    assert all(c.callers == ("gateway",) for name, c in own.items() if name != MAIL_SEND.name)
    assert NOTIFICATION_PUSH.stream == "PUSH"


class Caught(Outbound):
    """Keeps what would go out."""

    def __init__(self) -> None:
        super().__init__("test")
        self.calls: list[tuple[bytes, dict[str, str]]] = []

    async def to_anywhere(self, text: str, body: bytes, headers: Any, *, method: str = "POST") -> Answer:
        self.calls.append((body, dict(headers)))
        return Answer(200, {}, b"")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(title=texts, data=datas, recipient=st.integers(1, 2**40), generation=st.integers(1, 5))
async def test_whatever_a_webhook_says_its_receiver_can_verify_it(
    title: str, data: dict[str, Any], recipient: int, generation: int
) -> None:
    vault, caught = Vault("k" * 40), Caught()
    channel = WebhookChannel(caught, vault, SystemClock().now)
    message = Outgoing(
        id=CountedIds().event_id(), type="alert.triggered", title=title, text="", created_ms=0, data=data
    )
    outcome = await channel.send(message, Address(recipient, "https://h/", (generation, generation + 1)))
    assert outcome.result is Result.SENT
    ((body, headers),) = caught.calls
    for signing in (generation, generation + 1):
        said = Webhook(vault.webhook_secret(recipient, signing)).verify(body, headers)
        assert said["id"] == headers["webhook-id"] == message.id
    for wrong in (
        vault.webhook_secret(recipient + 1, generation),
        vault.webhook_secret(recipient, generation + 2),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(wrong).verify(body, headers)


@given(data=datas, created_ms=st.integers(0, 4_102_444_800_000))
def test_a_webhook_body_says_what_and_when_in_utc(data: dict[str, Any], created_ms: int) -> None:
    message = Outgoing(id="i", type="t", title="T", text="x", created_ms=created_ms, login=7, data=data)
    said = json.loads(payload_of(message))
    assert list(said) == ["id", "type", "timestamp", "created_at", "data"]
    assert said["created_at"] == said["timestamp"]
    assert datetime.fromisoformat(said["timestamp"]) == datetime.fromtimestamp(
        created_ms // 1000, UTC
    ).replace(microsecond=created_ms % 1000 * 1000)
    assert said["timestamp"].endswith("Z")
    assert {**data, "login": 7, "level": 10, "title": "T", "text": "x"} == said["data"]


def test_the_readme_names_every_setting_of_the_notifier() -> None:
    readme = (Path(__file__).parents[3] / "services/notifier/README.md").read_text(encoding="utf-8")
    common = {field.name for field in msgspec.structs.fields(ServiceConfig)}
    for field in msgspec.structs.fields(NotifierConfig):
        if field.name not in common:
            assert f"_{field.name.upper()}" in readme, field.name
