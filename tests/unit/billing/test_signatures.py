"""Digests of callbacks: fixed ones, nested and reordered ones, tampered ones."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.errors import CallbackUnsigned, SignatureInvalid
from services.billing.payment import Status
from services.billing.providers.nowpayments import NowPayments, canonical, digest
from services.billing.providers.stripe_checkout import verify_signature

SECRET = "ipn-secret"
IPN = NowPayments("key", SECRET, "https://api.nowpayments.io")
NOW = 1_790_000_000

# Made once with OpenSSL: printf '%s' '<canonical>' | openssl dgst -sha512 -hmac ipn-secret
FLAT = b'{"payment_status":"finished","order_id":"ord_1","price_amount":19.00,"price_currency":"usd"}'
FLAT_CANONICAL = (
    b'{"order_id":"ord_1","payment_status":"finished","price_amount":19.00,"price_currency":"usd"}'
)
FLAT_DIGEST = (
    "29ccef65d95e1b5c794c5bac0496640e7c9ff5b88740a671842db3231b3b35c0"
    "eb0f4f2714806facd6586382d337c5d66e4b7b31091558d87ee444a8681896ba"
)
NESTED_DIGEST = (
    "81a4e25629a105c3421612303fc5dd8ac58a6234b50d547a381ebc8885e9450c"
    "1fe9f66807a2f30043efe1c3fa2ed61760183a680b682faa83e0ad1633983a40"
)
NESTED = '{"b":{"z":1e-05,"a":[{"y":2,"x":"é\\n"}]},"a":null}'.encode()
NESTED_CANONICAL = '{"a":null,"b":{"a":[{"x":"é\\n","y":2}],"z":1e-05}}'.encode()


@pytest.mark.parametrize(("body", "sorted_body"), [(FLAT, FLAT_CANONICAL), (NESTED, NESTED_CANONICAL)])
def test_keys_are_sorted_at_every_depth_and_numbers_stay_as_written(body: bytes, sorted_body: bytes) -> None:
    assert canonical(body) == sorted_body
    expected = hmac.new(SECRET.encode(), sorted_body, hashlib.sha512).hexdigest()
    assert digest(body, SECRET) == expected


def test_a_fixed_digest() -> None:
    assert digest(FLAT, SECRET) == FLAT_DIGEST
    assert digest(NESTED, SECRET) == NESTED_DIGEST
    heard = IPN.read(FLAT, FLAT_DIGEST.upper(), NOW)
    assert (heard.status, heard.order_id, heard.paid_micros) == (Status.SETTLED, "ord_1", 19_000_000)


@pytest.mark.parametrize(
    "body", [FLAT.replace(b"19.00", b"1.00"), FLAT.replace(b"19.00", b"19.0"), b"", b"[]"]
)
def test_a_tampered_callback_is_refused(body: bytes) -> None:
    with pytest.raises(CallbackUnsigned):
        IPN.read(body, FLAT_DIGEST, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text("abcxyz", max_size=3), json_values, max_size=5), st.randoms())
def test_the_order_of_keys_and_the_spaces_do_not_matter(said: dict[str, object], random: object) -> None:
    keys = list(said)
    random.shuffle(keys)  # type: ignore[attr-defined]
    shuffled = {key: said[key] for key in keys}
    spaced = json.dumps(shuffled, indent=2, ensure_ascii=False).encode()
    compact = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical(spaced) == compact


def signed(body: bytes, at: int = NOW, secret: str = "whsec") -> str:
    return str(stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at))


def test_stripes_own_signature_is_taken_and_any_of_several() -> None:
    body = b'{"id":"evt_1"}'
    verify_signature(body, signed(body), "whsec", NOW)
    verify_signature(body, f"{signed(body)},v1=00,v0=11", "whsec", NOW + 300)
    fixed = "t=1790000000,v1=" + hmac.new(b"whsec", b"1790000000." + body, "sha256").hexdigest()
    assert signed(body) == fixed


@pytest.mark.parametrize(
    ("header", "now"),
    [
        ("", NOW),
        ("t=1790000000", NOW),
        ("v1=aa", NOW),
        ("t=x,v1=aa", NOW),
        ("t=1790000000,v1=é", NOW),
        (signed(b'{"id":"evt_1"}', secret="other"), NOW),
        (signed(b'{"id":"evt_2"}'), NOW),
        (signed(b'{"id":"evt_1"}'), NOW + 301),
        (signed(b'{"id":"evt_1"}'), NOW - 301),
        (signed(b'{"id":"evt_1"}').replace("t=1790000000", "t=1790000001"), NOW),
    ],
)
def test_another_signature_or_time_is_refused(header: str, now: int) -> None:
    with pytest.raises(SignatureInvalid):
        verify_signature(b'{"id":"evt_1"}', header, "whsec", now)
