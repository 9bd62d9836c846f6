"""Codes, seals, mail addresses, summaries, what goes out together, OAuth 1.0a: by property or vector."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import ConfigInvalid, InvalidData
from libs.common.messages.notifier import MailSend
from services.notifier import mails
from services.notifier.channels.email import MailServer, read_sender, read_server
from services.notifier.channels.x import Credentials, authorization, read_credentials
from services.notifier.deliveries import Delivery, Unit, units_of
from services.notifier.gates import SUMMARY_ABOVE, SUMMARY_LINES_MAX, Digest, summary_lines
from services.notifier.vault import KeyTooShort, SealBroken, Vault
from services.notifier.verification import CODE_CHARS, code_of, read_code

VAULT = Vault("a key of at least thirty-two characters")


# ── codes ──


@given(token=st.text(max_size=50), case=st.sampled_from([str.upper, str.lower]), cut=st.integers(1, 7))
def test_a_code_is_read_however_it_is_typed(token: str, case: object, cut: int) -> None:
    code = code_of(token)
    assert len(code) == CODE_CHARS
    typed = case(f" {code[:cut]}-{code[cut:]} ")  # type: ignore[operator]
    assert read_code(typed) == read_code(f"/start {typed}") == read_code(f"/start@Bot {code}") == code


@given(text=st.text(max_size=30))
def test_what_is_no_code_is_not_read_as_one(text: str) -> None:
    code = read_code(text)
    assert code is None or (len(code) == CODE_CHARS and not set(code) & set("01IO"))


def test_codes_are_spread_over_their_alphabet() -> None:
    counted = Counter("".join(code_of(str(n)) for n in range(4000)))
    assert len(counted) == 31
    assert max(counted.values()) < 1.2 * min(counted.values())


# ── sealed ──


@given(value=st.binary(max_size=200), context=st.text(max_size=20), entropy=st.text(max_size=20))
def test_what_is_sealed_is_opened_only_in_its_place_with_its_key(
    value: bytes, context: str, entropy: str
) -> None:
    sealed = VAULT.seal(value, context=context, entropy=entropy)
    assert VAULT.open(sealed, context=context) == value
    assert len(value) < 8 or value not in sealed
    for wrong, place in ((VAULT, context + "x"), (Vault("another key of thirty-two characters!"), context)):
        with pytest.raises(SealBroken):
            wrong.open(sealed, context=place)
    with pytest.raises(SealBroken):
        VAULT.open(bytes([sealed[0] ^ 1]) + sealed[1:], context=context)


def test_a_short_key_is_refused_and_a_short_seal_is_broken() -> None:
    with pytest.raises(KeyTooShort):
        Vault("short")
    with pytest.raises(SealBroken):
        VAULT.open(b"", context="")


def test_webhook_secrets_differ_by_recipient_and_generation_and_can_be_made_again() -> None:
    made = {VAULT.webhook_secret(r, g) for r in range(1, 30) for g in range(1, 30)}
    assert len(made) == 29 * 29
    assert VAULT.webhook_secret(1, 1) == Vault("a key of at least thirty-two characters").webhook_secret(1, 1)
    assert all(secret.startswith("whsec_") for secret in made)
    assert VAULT.fingerprint("a", "b") != VAULT.fingerprint("ab", "")


# ── mails ──

MAIL = MailSend(id="m1", to="ada@example.com", kind="verify_email", fields={"code": "X", "minutes": "15"})


def test_a_good_mail_is_taken() -> None:
    mails.check(MAIL)
    assert mails.read_address(" Ada@Example.com ") == "Ada@Example.com"
    assert mails.masked("ada@example.com") == "a***@example.com"


@pytest.mark.parametrize(
    "to",
    ["", "ada", "a@b\r\nBcc: c@d", "a@b,c@d", "a b@c.d", "<a@b.c>", "a@b@c", "a" * 300 + "@b.c", "a\x00@b.c"],
)
def test_an_address_that_could_name_another_is_refused(to: str) -> None:
    with pytest.raises(InvalidData):
        mails.read_address(to)


@given(text=st.text(max_size=60))
def test_whatever_is_read_as_an_address_can_stand_in_a_header(text: str) -> None:
    try:
        address = mails.read_address(text)
    except InvalidData:
        return
    assert not set(address) & set("\r\n<>,; ")
    assert address.count("@") == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "spam"},
        {"fields": {}},
        {"fields": {"code": "", "minutes": "15"}},
        {"fields": {"code": "X", "minutes": "1" * 3000}},
        {"id": ""},
        {"id": "a b"},
        {"id": "x" * 200},
        {"valid_s": 0},
        {"valid_s": 10**9},
    ],
)
def test_a_mail_that_can_not_be_written_is_refused(changed: dict[str, object]) -> None:
    import msgspec

    with pytest.raises(InvalidData):
        mails.check(msgspec.structs.replace(MAIL, **changed))


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", MailServer("mail.example.com", 25, False)),
        ("smtps://u%40x:p%3A1@h:99", MailServer("h", 99, True, "u@x", "p:1")),
        ("smtp://u:p@h:587", MailServer("h", 587, False, "u", "p")),
    ],
)
def test_a_mail_server_is_read_from_its_address(url: str, server: MailServer) -> None:
    assert read_server(url) == server


def test_a_password_never_travels_in_the_clear_beyond_this_machine() -> None:
    assert read_server("smtp://u:p@mail.example.com").start_tls is True
    assert read_server("smtp://u:p@127.0.0.1").start_tls is None
    assert read_server("smtp://mail.example.com").start_tls is None
    assert read_server("smtps://u:p@h").start_tls is False


@pytest.mark.parametrize(
    "url", ["http://h", "smtp://", "mail.example.com:25", "smtp://h:secret", "smtp://[::1"]
)
def test_a_mail_server_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        read_server(url)
    assert "secret" not in str(refused.value)


def test_the_sender_is_checked_at_start() -> None:
    assert read_sender("Tradewind <a@b.c>") == ("Tradewind", "a@b.c")
    for bad in ("", "Tradewind", "a@b.c, d@e.f"):
        with pytest.raises(ConfigInvalid):
            read_sender(bad)


# ── together ──

deliveries = st.lists(
    st.builds(
        lambda level, attempts, batch: (level, attempts if batch is None else max(attempts, 1), batch),
        st.sampled_from([0, 10, 19, 20, 30]),
        st.sampled_from([0, 0, 0, 0, 1, 2]),
        st.sampled_from([None, None, None, "b1", "b2"]),
    ),
    max_size=30,
)


def delivery(number: int, level: int, attempts: int, batch_id: str | None) -> Delivery:
    return Delivery(
        id=number,
        event_id=f"e{number}",
        login=1,
        type="t",
        level=level,
        title=f"t{number}",
        body="",
        data={},
        sealed=None,
        traceparent="",
        attempts=attempts,
        batch_id=batch_id,
        created_ms=0,
        due_ms=0,
        expires_ms=1,
    )


@given(drawn=deliveries, digest=st.sampled_from(list(Digest)))
def test_every_delivery_goes_out_once_under_an_id_it_keeps(
    drawn: list[tuple[int, int, str | None]], digest: Digest
) -> None:
    ready = [delivery(n, *parts) for n, parts in enumerate(drawn)]
    numbers = itertools.count()
    units = units_of(ready, digest, lambda: f"new{next(numbers)}")
    sent = [d for unit in units for d in unit.deliveries]
    assert sorted(d.id for d in sent) == list(range(len(ready)))
    for unit in units:
        _check_unit(unit, digest)
    # Urgent ones are not behind others that are new.
    fresh = [u for u in units if u.attempts == 1]
    order = [min(d.level >= 20 for d in u.deliveries) for u in fresh]
    assert order == sorted(order, reverse=True)


def _check_unit(unit: Unit, digest: Digest) -> None:
    begun = {d.batch_id for d in unit.deliveries}
    assert len(begun) == 1
    if begun != {None}:
        assert unit.batch_id in begun  # as it was begun
    elif len(unit.deliveries) > 1:
        assert unit.batch_id is not None
        assert all(d.attempts == 0 for d in unit.deliveries)
        assert len({d.level >= 20 for d in unit.deliveries}) == 1
        urgent = unit.deliveries[0].level >= 20
        assert len(unit.deliveries) > SUMMARY_ABOVE or (digest is not Digest.OFF and not urgent)
    else:
        assert unit.batch_id is None


@given(titles=st.lists(st.sampled_from([f"t{n}" for n in range(40)]), max_size=200))
def test_a_summary_leaves_no_notification_out(titles: list[str]) -> None:
    lines, unnamed = summary_lines(titles)
    assert len(lines) <= SUMMARY_LINES_MAX
    told = sum(int(line.partition("×")[2].rstrip(")") or 1) for line in lines)
    assert told + unnamed == len(titles)
    assert unnamed == 0 or len(lines) == SUMMARY_LINES_MAX


# ── X ──


def test_a_request_to_x_is_signed_as_its_own_documentation_signs_its_example() -> None:
    """developer.x.com, "Creating a signature": keys, request and result are theirs."""
    header = authorization(
        "post",
        "https://api.twitter.com/1/statuses/update.json?include_entities=true",
        Credentials(
            "xvz1evFS4wEEPTGEFPHBog",
            "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
            "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        ),
        nonce="kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
        timestamp=1318622958,
        form={"status": "Hello Ladies + Gentlemen, a signed OAuth request!"},
    )
    assert 'oauth_signature="tnnArxj06cWHq44gCs1OSKk%2FjLY%3D"' in header


def test_credentials_of_x_have_four_parts() -> None:
    assert read_credentials("") is None
    assert read_credentials("a:b:c:d") == Credentials("a", "b", "c", "d")
    for bad in ("a:b:c", "a:b:c:", "a:b:c:d:e"):
        with pytest.raises(ConfigInvalid) as refused:
            read_credentials(bad)
        assert "a:b" not in str(refused.value)
