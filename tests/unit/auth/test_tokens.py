"""Tokens: made by auth, read by everybody, and every way to forge one refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import NotAuthenticated
from libs.common.ids import CountedIds
from libs.common.principal import Principal, SessionType
from libs.common.tokens import ACCESS, STREAM, Claims, PublicKeys, Revocations, kid_of, principal_of
from services.auth import keys
from services.auth.keys import KeyState, SigningKey, StoredKey
from services.auth.sealing import SealBroken, Sealer, SecretTooShort
from services.auth.tokens import ACCESS_S, Subject, claims_of, sign

NOW_S = 1_800_000_000
SEALER = Sealer("a secret of at least thirty-two characters")
IDS = CountedIds()


def new_key(state: KeyState = KeyState.ACTIVE, created_ms: int = 0) -> StoredKey:
    return keys.make_key(IDS.token(32), IDS.token(32), SEALER, state, created_ms)


STORED = new_key()
KEY: SigningKey = keys.open_key(STORED, SEALER)
PUBLIC = PublicKeys.from_jwks([STORED.jwk()])
SUBJECT = Subject("account", 100001, SessionType.USER, 1, person_id=7, group="demo", logins=(100001,))


def claims(**changed: Any) -> Claims:
    return msgspec.structs.replace(
        claims_of(SUBJECT, typ=ACCESS, jti="j", now_s=NOW_S, lifetime_s=ACCESS_S), **changed
    )


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    return ".".join((b64(json.dumps(header).encode()), b64(json.dumps(body).encode()), b64(signature)))


def test_a_token_says_exactly_the_documented_claims() -> None:
    said = jwt.decode(sign(claims(), KEY), options={"verify_signature": False})
    assert list(said) == [
        "iss", "aud", "typ", "sub", "login", "type", "grp", "person", "read_only", "logins", "iat", "nbf",
        "exp", "jti", "ver",
    ]  # fmt: skip
    assert said["sub"] == "account:100001"
    assert said["exp"] - said["iat"] == 24 * 3600


@given(
    login=st.integers(1, 2**53),
    version=st.integers(1, 2**31),
    group=st.text(max_size=20),
    read_only=st.booleans(),
    kind=st.sampled_from(
        [("account", SessionType.USER), ("staff", SessionType.DEALER), ("customer", SessionType.CUSTOMER)]
    ),
)
def test_what_is_signed_is_what_is_read(
    login: int, version: int, group: str, read_only: bool, kind: tuple[str, SessionType]
) -> None:
    subject = Subject(kind[0], login, kind[1], version, group=group, read_only=read_only)
    made = claims_of(subject, typ=ACCESS, jti="j", now_s=NOW_S, lifetime_s=ACCESS_S)
    read = PUBLIC.verify(sign(made, KEY), now_s=NOW_S)
    assert read == made
    principal = principal_of(read)
    assert principal.kind == kind[0]
    assert principal.login == (None if kind[0] == "customer" else login)
    assert principal.read_only is read_only


@given(st.data())
def test_a_token_changed_in_one_character_is_refused(data: st.DataObject) -> None:
    token = sign(claims(), KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from([c for c in "abcXYZ019-_." if c != token[place]]))
    changed = token[:place] + other + token[place + 1 :]
    try:
        read = PUBLIC.verify(changed, now_s=NOW_S)
    except NotAuthenticated:
        return
    # The last character of a base64 part may carry bits that mean nothing.
    assert read == claims()


@given(st.text(max_size=300))
def test_nonsense_is_refused_and_nothing_else_is_raised(text: str) -> None:
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(text, now_s=NOW_S)
    kid_of(text)


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "ES256", "EdDSA ", ""])
def test_another_algorithm_in_the_header_is_refused(alg: str) -> None:
    body = msgspec.to_builtins(claims())
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(forged({"alg": alg, "typ": "JWT", "kid": KEY.kid}, body), now_s=NOW_S)


def test_the_public_key_is_no_hmac_secret() -> None:
    public_raw = KEY.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    token = jwt.encode(msgspec.to_builtins(claims()), public_raw, algorithm="HS256", headers={"kid": KEY.kid})
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(token, now_s=NOW_S)


def test_an_rsa_signature_under_our_kid_is_refused() -> None:
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    token = jwt.encode(msgspec.to_builtins(claims()), private, algorithm="RS256", headers={"kid": KEY.kid})
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(token, now_s=NOW_S)


def test_a_strangers_key_under_our_kid_is_refused() -> None:
    stranger = keys.open_key(new_key(), SEALER)
    token = sign(claims(), SigningKey(KEY.kid, stranger.private))
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(token, now_s=NOW_S)


@pytest.mark.parametrize("header", [{"kid": "foreign"}, {"kid": None}, {}, {"kid": 7}])
def test_a_foreign_or_missing_kid_is_refused(header: dict[str, Any]) -> None:
    token = jwt.encode(msgspec.to_builtins(claims()), KEY.private, algorithm="EdDSA")
    payload, signature = token.split(".")[1:]
    forged_header = b64(json.dumps({"alg": "EdDSA", "typ": "JWT", **header}).encode())
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(f"{forged_header}.{payload}.{signature}", now_s=NOW_S)


@pytest.mark.parametrize("changed", [{"iss": "other"}, {"aud": "other"}, {"typ": STREAM}, {"typ": "refresh"}])
def test_another_issuer_audience_or_kind_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(sign(claims(**changed), KEY), now_s=NOW_S)


def test_an_access_token_is_no_stream_token() -> None:
    token = sign(claims(), KEY)
    assert PUBLIC.verify(token, now_s=NOW_S).typ == ACCESS
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(token, now_s=NOW_S, typ=STREAM)


def test_a_token_counts_from_its_issue_until_the_second_it_expires() -> None:
    token = sign(claims(), KEY)
    for now_s in (NOW_S - 5, NOW_S, NOW_S + ACCESS_S - 1):
        PUBLIC.verify(token, now_s=now_s)
    for now_s in (NOW_S - 6, NOW_S + ACCESS_S):
        with pytest.raises(NotAuthenticated):
            PUBLIC.verify(token, now_s=now_s)


@pytest.mark.parametrize("missing", ["exp", "nbf", "jti", "ver", "typ", "sub"])
def test_a_signed_token_without_a_claim_is_refused(missing: str) -> None:
    body = msgspec.to_builtins(claims())
    del body[missing]
    token = jwt.encode(body, KEY.private, algorithm="EdDSA", headers={"kid": KEY.kid})
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(token, now_s=NOW_S)


def test_during_a_rotation_both_keys_count_and_the_dropped_one_does_not() -> None:
    old, young = new_key(KeyState.RETIRING), new_key(KeyState.ACTIVE)
    ring = PublicKeys.from_jwks([old.jwk(), young.jwk()])
    tokens = [sign(claims(), keys.open_key(key, SEALER)) for key in (old, young)]
    for token in tokens:
        ring.verify(token, now_s=NOW_S)
    with pytest.raises(NotAuthenticated):
        PublicKeys.from_jwks([young.jwk()]).verify(tokens[0], now_s=NOW_S)


def test_keys_of_another_kind_in_the_set_are_left_out() -> None:
    assert "x" not in PublicKeys.from_jwks([{"kty": "RSA", "kid": "x", "n": "AQAB", "e": "AQAB"}])


def test_a_rotation_makes_the_next_key_active_and_a_new_one_next() -> None:
    active, following = new_key(KeyState.ACTIVE), new_key(KeyState.NEXT)
    plan = keys.plan_rotation([active, following])
    assert (plan.activate, plan.retire, plan.missing) == (following.kid, active.kid, (KeyState.NEXT,))
    assert keys.plan_rotation([]).missing == (KeyState.ACTIVE, KeyState.NEXT)


def test_a_retired_key_is_kept_until_its_last_token_has_expired() -> None:
    retiring = StoredKey("k", KeyState.RETIRING, b"", b"", 0, retired_ms=1000)
    assert keys.outlived([retiring], now_ms=1000 + 50, token_ms_max=50) == ()
    assert keys.outlived([retiring], now_ms=1000 + 51, token_ms_max=50) == ("k",)
    assert keys.outlived([new_key(KeyState.ACTIVE)], now_ms=10**15, token_ms_max=50) == ()


def test_a_sealed_key_opens_only_under_its_secret_and_in_its_place() -> None:
    assert keys.open_key(STORED, SEALER).private.public_key() == STORED.public_key()
    other = Sealer("another secret of thirty-two characters")
    with pytest.raises(SealBroken):
        keys.open_key(STORED, other)
    moved = StoredKey("elsewhere", STORED.state, STORED.public, STORED.sealed, 0)
    with pytest.raises(SealBroken):
        keys.open_key(moved, SEALER)


@given(st.binary(max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_what_is_sealed_comes_out_again_and_never_shows(value: bytes, context: str, entropy: str) -> None:
    sealed = SEALER.seal(value, context=context, entropy=entropy)
    assert SEALER.open(sealed, context=context) == value
    with pytest.raises(SealBroken):
        SEALER.open(sealed, context=context + "x")
    with pytest.raises(SealBroken):
        SEALER.open(sealed[:-1], context=context)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(SecretTooShort):
        Sealer("x" * 31)


def test_a_revoked_version_and_a_revoked_token_are_refused_until_they_expire() -> None:
    revoked = Revocations()
    revoked.add("account:100001", version_min=2, until_ms=NOW_S + 10)
    assert not revoked.allows("account:100001", 1, "j")
    assert revoked.allows("account:100001", 2, "j")
    assert revoked.allows("account:100002", 1, "j")
    revoked.add("account:100002", jtis=("one", "two"), until_ms=NOW_S + 20)
    assert not revoked.allows("account:100002", 1, "one")
    assert not revoked.allows("account:100002", 1, "two")
    assert revoked.allows("account:100002", 1, "three")
    revoked.forget(NOW_S + 10)
    assert revoked.allows("account:100001", 1, "j")
    assert len(revoked) == 2


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 100)), min_size=1, max_size=6))
def test_repeated_revocations_keep_the_highest_version_and_the_longest_time(
    heard: list[tuple[int, int]],
) -> None:
    revoked = Revocations()
    for version, until_ms in heard:
        revoked.add("account:100001", version_min=version, until_ms=until_ms)
    highest = max(version for version, _ in heard)
    assert revoked.allows("account:100001", highest, "j")
    assert not revoked.allows("account:100001", highest - 1, "j")
    revoked.forget(max(until for _, until in heard) - 1)
    assert len(revoked) == 1
    revoked.forget(max(until for _, until in heard))
    assert len(revoked) == 0


def test_a_key_set_entry_is_what_rfc_8037_says() -> None:
    jwk = STORED.jwk()
    assert jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": jwk["x"],
        "kid": KEY.kid,
        "alg": "EdDSA",
        "use": "sig",
    }
    assert base64.urlsafe_b64decode(jwk["x"] + "=") == STORED.public
    assert len(jwk["x"]) == 43
    assert len(KEY.kid) == 16


def test_a_new_key_remembers_its_state_and_time() -> None:
    made = new_key(KeyState.NEXT, 1234)
    assert (made.state, made.created_ms, made.retired_ms) == (KeyState.NEXT, 1234, 0)


def test_a_ring_that_lacks_a_key_is_filled_and_not_rotated() -> None:
    for ring, missing in (
        ([new_key(KeyState.ACTIVE)], (KeyState.NEXT,)),
        ([new_key(KeyState.NEXT)], (KeyState.ACTIVE,)),
    ):
        plan = keys.plan_rotation(ring)
        assert (plan.activate, plan.retire, plan.missing) == (None, None, missing)


@pytest.mark.parametrize("typ", ["at+jwt", "JWE", "", None])
def test_a_token_of_another_media_type_is_refused(typ: str | None) -> None:
    header = {"kid": KEY.kid, "typ": typ}
    token = jwt.encode(msgspec.to_builtins(claims()), KEY.private, algorithm="EdDSA", headers=header)
    with pytest.raises(NotAuthenticated):
        PUBLIC.verify(token, now_s=NOW_S)


def test_the_header_says_what_signs() -> None:
    assert jwt.get_unverified_header(sign(claims(), KEY)) == {"alg": "EdDSA", "typ": "JWT", "kid": KEY.kid}


def test_kid_of_a_token_or_of_nonsense() -> None:
    token = sign(claims(), KEY)
    assert kid_of(token) == KEY.kid
    assert kid_of(jwt.encode({}, KEY.private, algorithm="EdDSA")) is None
    assert kid_of("x" * 9000) is None
    assert kid_of("nonsense") is None


def test_every_claim_reaches_the_principal() -> None:
    principal = principal_of(claims(read_only=1), address="10.0.0.1")
    assert principal == Principal(
        kind="account",
        login=100001,
        logins=(100001,),
        person_id=7,
        session_type=SessionType.USER,
        group="demo",
        read_only=True,
        jti="j",
        expires_at=NOW_S + ACCESS_S,
        address="10.0.0.1",
        subject="account:100001",
        version=1,
    )
    assert principal_of(claims()).address == ""
    with pytest.raises(NotAuthenticated):
        principal_of(claims(type=4))


def test_a_secret_of_32_characters_is_enough_and_spaces_around_it_mean_nothing() -> None:
    sealed = Sealer("x" * 32).seal(b"value", context="c", entropy="e")
    assert Sealer(f" {'x' * 32}\n").open(sealed, context="c") == b"value"
    with pytest.raises(SealBroken, match=r"^c$"):
        Sealer("y" * 32).open(sealed, context="c")


def test_a_token_at_the_longest_is_still_read() -> None:
    many = tuple(range(10**9, 10**9 + 200))
    token = sign(claims(logins=many), KEY)
    assert len(token) < 8192
    assert PUBLIC.verify(token, now_s=NOW_S).logins == many
    crowd = Subject("customer", 1, SessionType.CUSTOMER, 1, logins=tuple(range(300)))
    assert len(claims_of(crowd, typ=ACCESS, jti="j", now_s=NOW_S, lifetime_s=1).logins) == 200


def test_what_was_sealed_by_an_earlier_version_still_opens() -> None:
    sealed = bytes.fromhex("200651a8b2d5912f692db89492189401a82e4e354d688b68b48dc41e082e7904be")
    assert SEALER.open(sealed, context="where") == b"value"


@pytest.mark.parametrize("changed", [{"kty": "EC"}, {"crv": "X25519"}, {"kid": ""}, {"kid": None}])
def test_only_named_ed25519_keys_of_a_set_count(changed: dict[str, Any]) -> None:
    token = sign(claims(), KEY)
    with pytest.raises(NotAuthenticated):
        PublicKeys.from_jwks([{**STORED.jwk(), **changed}]).verify(token, now_s=NOW_S)


def test_a_token_revoked_twice_is_refused_until_the_later_time() -> None:
    for order in ((20, 10), (10, 20)):
        revoked = Revocations()
        for until_ms in order:
            revoked.add("account:1", jtis=("one",), until_ms=until_ms)
        revoked.forget(19)
        assert not revoked.allows("account:1", 1, "one")
        revoked.forget(20)
        assert revoked.allows("account:1", 1, "one")
        assert len(revoked) == 0
