"""Preferences, mails of other services, dead letters, tidying."""

from __future__ import annotations

import asyncio
import importlib.util
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from libs.common.errors import ConfigInvalid, InvalidData
from libs.common.messages.notifier import (
    DeadLetterRetry,
    DeadLettersAsk,
    MailSend,
    NotifyListAsk,
    NotifyRead,
    PreferencesAsk,
    PreferencesPut,
)
from services.notifier import metrics
from services.notifier.channels import log as log_file
from services.notifier.channels.apprise import read_schemes
from services.notifier.channels.base import Address, Outgoing
from services.notifier.config import read_key
from services.notifier.errors import DeadLetterNotFound, DeadLetterSpent, InvalidParam
from services.notifier.wiring import _channels
from tests.integration.notifier.receivers import MailBox, Receiver, status
from tests.integration.notifier.rig import EMAIL, LOGIN, PERSON, Rig, config_of

DISCORD = "https://discord.com/api/webhooks/123/secret-token"


def mail(mail_id: str = "m1", **changed: Any) -> MailSend:
    return MailSend(
        **{
            "id": mail_id,
            "to": "eve@example.com",
            "kind": "verify_email",
            "fields": {"code": "SECRET77", "minutes": "15"},
            "name": "Eve",
            **changed,
        }
    )


# ── preferences ──


async def test_preferences_are_kept_and_answered_whole(rig: Rig) -> None:
    put = PreferencesPut(person_id=PERSON, said={"email": {"enabled": True}, "min_confidence": 0.6})
    answer = await rig.parts.service.put_preferences(put)
    assert answer == await rig.parts.service.preferences(PreferencesAsk(person_id=PERSON))
    assert (answer.email.enabled, answer.min_confidence) == (True, 0.6)


async def test_a_person_never_heard_of_has_defaults_and_may_choose(rig: Rig) -> None:
    assert not (await rig.parts.service.preferences(PreferencesAsk(person_id=999))).email.enabled
    answer = await rig.parts.service.put_preferences(PreferencesPut(person_id=999, said={"language": "zh"}))
    assert answer.language == "zh"


async def test_a_refused_change_changes_nothing(rig: Rig) -> None:
    with pytest.raises(InvalidParam):
        await rig.want(email=True, sms=True)
    assert not (await rig.parts.service.preferences(PreferencesAsk(person_id=PERSON))).email.enabled


async def test_changes_at_once_are_all_kept(rig: Rig) -> None:
    await asyncio.gather(
        *(rig.want(**{name: True}) for name in ("email", "telegram", "discord", "x", "slack"))
    )
    told = await rig.parts.service.preferences(PreferencesAsk(person_id=PERSON))
    assert all(c.enabled for c in (told.email, told.telegram, told.discord, told.x, told.slack))


# ── the list's bounds ──


@pytest.mark.parametrize("changed", [{"limit": -1}, {"limit": 1001}, {"offset": -1}, {"filter": "a\x00"}])
async def test_a_page_out_of_bounds_is_refused(rig: Rig, changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidData):
        await rig.parts.service.notifications(
            NotifyListAsk(**{"login": LOGIN, "limit": 1, "offset": 0, **changed})
        )


@pytest.mark.parametrize("changed", [{"ids": [-1]}, {"ids": [2**63]}, {"up_to": -1}, {"ids": [1] * 1001}])
async def test_read_marks_out_of_bounds_are_refused(rig: Rig, changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidData):
        await rig.parts.service.read(NotifyRead(**{"login": LOGIN, **changed}))


# ── mails ──


async def test_a_mail_is_sent_once_per_id_and_its_secret_is_nowhere_to_be_read(
    rig: Rig, mailbox: MailBox, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not (await rig.parts.service.send_mail(mail())).repeated
    assert (await rig.parts.service.send_mail(mail())).repeated
    (before,) = await rig.rows("SELECT * FROM notifier.delivery")
    assert "SECRET77" not in str(before) and b"SECRET77" not in before["sealed"]
    assert "eve@" not in str(await rig.rows("SELECT target_masked, target FROM notifier.recipient"))
    await rig.work()
    (sent,) = mailbox.mails
    assert (sent["To"], sent["Subject"]) == ("eve@example.com", "Confirm your mail address")
    assert "Hello Eve" in sent.get_content() and "SECRET77" in sent.get_content()
    after = await rig.delivery()
    assert (after["state"], after["sealed"], after["title"], after["body"]) == ("sent", None, "", "")
    assert "SECRET77" not in "".join(capfd.readouterr())


async def test_two_askers_at_once_send_one_mail(rig: Rig, mailbox: MailBox) -> None:
    answers = await asyncio.gather(*(rig.parts.service.send_mail(mail()) for _ in range(6)))
    assert sorted(a.repeated for a in answers) == [False] + [True] * 5
    await rig.work()
    assert len(mailbox.mails) == 1


async def test_a_mail_keeps_no_quiet_hours_and_is_written_in_its_language(rig: Rig, mailbox: MailBox) -> None:
    await rig.want(email=True, quiet_hours={"start": "00:00", "end": "23:59"})
    await rig.parts.service.send_mail(mail(to=EMAIL, language="de-AT"))
    await rig.work()
    assert mailbox.mails[0]["Subject"] == "Bestätigen Sie Ihre Mail-Adresse"


async def test_a_mail_that_is_too_old_is_not_sent_and_its_content_is_forgotten(
    rig: Rig, mailbox: MailBox
) -> None:
    mailbox.data.append("451 later")
    await rig.parts.service.send_mail(mail(valid_s=60))
    await rig.work()
    rig.advance(61)
    await rig.work()
    assert (await rig.delivery())["state"] == "dead"
    await rig.parts.service.tidy()
    assert (await rig.delivery())["sealed"] is None
    (dead,) = (await rig.parts.service.dead_letters(DeadLettersAsk())).rows
    with pytest.raises(DeadLetterSpent):
        await rig.parts.service.retry_dead_letter(DeadLetterRetry(id=dead.id))
    assert mailbox.mails == []


@pytest.mark.parametrize(
    "changed", [{"to": "nobody"}, {"kind": "spam"}, {"fields": {}}, {"to": "a@b\r\nBcc: c@d"}]
)
async def test_a_mail_that_can_not_be_sent_is_refused_and_its_id_stays_free(
    rig: Rig, changed: dict[str, Any]
) -> None:
    with pytest.raises(InvalidData):
        await rig.parts.service.send_mail(mail(**changed))
    assert not (await rig.parts.service.send_mail(mail())).repeated


async def test_without_a_mail_server_mails_are_files_that_only_their_owner_reads(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = config_of(tmp_path / "data")
    parts = rig.parts
    channel = _channels(config, rig.base, parts.outbound, parts.planner._vault, parts.channels["telegram"])[
        "email"
    ]  # type: ignore[arg-type]
    monkeypatch.setattr(log_file, "FILES_MAX", 3)
    for number in range(5):
        message = Outgoing(
            id=f"m/../{number}", type="t", title="T", text="SECRET77", created_ms=1000 + number
        )
        await channel.send(message, Address(1, "eve@example.com"))
        await channel.send(message, Address(1, "eve@example.com"))
    files = sorted((tmp_path / "data/mail").iterdir())
    assert [file.name for file in files] == [f"{1000 + n}-1-m----{n}.eml" for n in (2, 3, 4)]
    assert files[0].stat().st_mode & 0o777 == 0o600
    written = message_from_bytes(files[0].read_bytes(), policy=policy.default)
    assert (written["To"], written["X-Tradewind-Id"]) == ("eve@example.com", "m/../2")
    told = "".join(capfd.readouterr())
    assert "SECRET77" not in told and "eve@example.com" not in told


# ── dead letters ──


async def test_staff_sees_dead_letters_and_has_them_sent_again_with_their_id(
    rig: Rig, receiver: Receiver
) -> None:
    await rig.bind("discord", DISCORD)
    receiver.otherwise = status(400)
    events = [await rig.fire() for _ in range(3)]
    while await rig.work():
        rig.advance(1)
    page = await rig.parts.service.dead_letters(DeadLettersAsk(limit=2))
    assert page.count == 3
    assert [row.event_id for row in page.rows] == events[:0:-1]
    first = page.rows[0]
    assert (first.kind, first.state, first.channel, first.login) == ("delivery", "failed", "discord", LOGIN)
    assert (first.attempts, first.reason, first.type) == (1, "answered 400", "alert.triggered")
    assert "secret" not in first.target_masked
    receiver.otherwise = status(200)
    await rig.parts.service.retry_dead_letter(DeadLetterRetry(id=first.id))
    with pytest.raises(DeadLetterNotFound):  # it is none any more
        await rig.parts.service.retry_dead_letter(DeadLetterRetry(id=first.id))
    await rig.work()
    assert await rig.states() == ["failed", "failed", "sent"]
    assert (await rig.parts.service.dead_letters(DeadLettersAsk())).count == 2


async def test_a_dead_letter_is_sent_at_once_whatever_the_recipients_back_off(
    rig: Rig, receiver: Receiver
) -> None:
    await rig.bind("discord", DISCORD)
    receiver.otherwise = status(500)
    await rig.fire()
    for _ in range(12):
        await rig.work()
        rig.advance(5 * 3600)
        rig.parts.courier.wake()
        await rig.rows("UPDATE notifier.delivery SET expires_ms = 1 << 42 RETURNING id")
    (dead,) = (await rig.parts.service.dead_letters(DeadLettersAsk())).rows
    assert dead.state == "dead"
    receiver.otherwise = status(200)
    await rig.parts.service.retry_dead_letter(DeadLetterRetry(id=dead.id))
    await rig.work()
    assert await rig.states() == ["sent"]


async def test_a_dead_letter_of_a_channel_that_is_gone_can_not_be_sent(rig: Rig, receiver: Receiver) -> None:
    await rig.bind("discord", DISCORD)
    receiver.otherwise = status(404)
    await rig.fire()
    await rig.work()
    (dead,) = (await rig.parts.service.dead_letters(DeadLettersAsk())).rows
    with pytest.raises(DeadLetterSpent):
        await rig.parts.service.retry_dead_letter(DeadLetterRetry(id=dead.id))


@pytest.mark.parametrize(
    "letter_id",
    ["", "1", "delivery-", "delivery-0", "delivery-x", "delivery-" + "9" * 30, "bus-1", "delivery-²"],
)
async def test_an_id_of_no_dead_letter_is_not_found(rig: Rig, letter_id: str) -> None:
    with pytest.raises(DeadLetterNotFound):
        await rig.parts.service.retry_dead_letter(DeadLetterRetry(id=letter_id))


# ── tidying, and what stops the start ──


async def test_what_is_old_is_forgotten_and_what_waits_is_not(rig: Rig, mailbox: MailBox) -> None:
    await rig.want(email=True)
    await rig.fire()
    await rig.work()
    mailbox.recipient.append("550 no")
    await rig.fire()
    await rig.work()
    await rig.parts.service.send_mail(mail())
    await rig.work()
    rig.advance(8 * 86_400)
    await rig.want(quiet_hours={"start": "00:00", "end": "23:59"})
    await rig.fire()
    await rig.parts.service.tidy()
    assert await rig.states() == ["failed", "pending"]
    assert len(await rig.rows("SELECT 1 FROM notifier.notification")) == 3
    rig.advance(90 * 86_400)
    await rig.parts.service.tidy()
    assert await rig.states() == ["pending"]
    assert len(await rig.rows("SELECT 1 FROM notifier.notification")) == 1
    await rig.parts.service.measure()
    assert metrics.waiting._value.get() == 1
    assert metrics.overdue._value.get() == pytest.approx(90 * 86_400)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    config = config_of(tmp_path / "data")
    assert read_key(config, "f" * 43) == read_key(config, "g" * 43) == "f" * 43
    assert (tmp_path / "data/notifier.key").stat().st_mode & 0o777 == 0o600
    assert read_key(config_of(tmp_path, notify_key="given"), "f") == "given"


def test_schemes_of_apprise_need_apprise() -> None:
    assert read_schemes("") == frozenset()
    if importlib.util.find_spec("apprise") is None:
        with pytest.raises(ConfigInvalid, match="pip install"):
            read_schemes("pover")
    else:
        assert read_schemes(" pover, PBUL,") == {"pover", "pbul"}


def test_a_switch_that_is_neither_on_nor_off_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="NOTIFY_ALLOW_PRIVATE"):
        assert config_of(tmp_path, notify_allow_private="yes").allows_private
