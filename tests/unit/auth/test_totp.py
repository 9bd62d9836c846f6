"""One-time codes beside an oracle written from RFC 6238 and RFC 4226."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from services.auth import totp


def rfc_code(secret: str, step: int) -> str:
    """RFC 4226 5.3, by hand."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFF_FFFF
    return f"{number % 1_000_000:06d}"


secrets = st.binary(min_size=20, max_size=32).map(totp.make_secret)


@pytest.mark.parametrize(
    ("now_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_vectors_of_rfc_6238(now_s: int, code: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp.step_of(secret, code, now_s=now_s) == now_s // 30


@given(secrets, st.integers(120, 2**33), st.integers(-3, 3))
def test_a_code_counts_one_step_before_and_after_its_own(secret: str, now_s: int, aside: int) -> None:
    step = now_s // 30 + aside
    found = totp.step_of(secret, rfc_code(secret, step), now_s=now_s)
    if abs(aside) <= 1:
        assert found is not None
        assert rfc_code(secret, found) == rfc_code(secret, step)
    else:
        chance = {rfc_code(secret, now_s // 30 + n) for n in (-1, 0, 1)}
        assert (found is not None) == (rfc_code(secret, step) in chance)


@given(secrets, st.text(max_size=12))
def test_what_is_no_code_is_refused(secret: str, code: str) -> None:
    found = totp.step_of(secret, code, now_s=1_800_000_000)
    if found is not None:
        assert code.replace(" ", "") == rfc_code(secret, found)


@pytest.mark.parametrize("code", ["28708２", "287 082", " 287082", "2870820", "28708", "-87082", "2.7082"])
def test_only_six_ascii_digits_are_a_code(code: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    found = totp.step_of(secret, code, now_s=59)
    assert (found is not None) == (code.replace(" ", "") == "287082")


def test_the_very_first_step_counts() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp.step_of(secret, rfc_code(secret, 0), now_s=10) == 0


@pytest.mark.parametrize(("length", "fits"), [(9, False), (10, True), (80, True), (81, False)])
def test_a_secret_has_80_to_640_bits(length: int, fits: bool) -> None:
    text = base64.b32encode(bytes(range(length))).decode().rstrip("=")
    if fits:
        assert totp.read_secret(text) == text
    else:
        with pytest.raises(InvalidData):
            totp.read_secret(text)


@given(secrets)
def test_a_secret_is_read_as_apps_write_it(secret: str) -> None:
    spaced = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)).lower()
    assert totp.read_secret(spaced) == secret
    assert totp.read_secret(secret + "====") == secret


@pytest.mark.parametrize("text", ["", "short", "ABCDEFGH", "not base32 at all!!", "1" * 32, "A" * 200])
def test_a_secret_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        totp.read_secret(text)


def test_the_url_names_issuer_account_and_secret() -> None:
    url = totp.provisioning_url("JBSWY3DPEHPK3PXPJBSWY3DP", "ada@example.com", "Tradewind")
    assert url.startswith("otpauth://totp/Tradewind:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DP")
    assert "issuer=Tradewind" in url


@given(st.binary(min_size=10, max_size=40))
def test_a_secret_of_any_length_is_read_with_and_without_its_padding(raw: bytes) -> None:
    padded = base64.b32encode(raw).decode()
    bare = padded.rstrip("=")
    assert totp.read_secret(padded) == totp.read_secret(bare) == bare
