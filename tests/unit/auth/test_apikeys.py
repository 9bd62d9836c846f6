"""API keys: their form, and what may be asked of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from services.auth import apikeys
from services.auth.apikeys import ApiKey
from services.auth.times import iso, iso_or_none

NOW_MS = 1_800_000_000_000


def key(**changed: object) -> ApiKey:
    given = {
        "key_id": "key_1",
        "person_id": 1,
        "email_key": "",
        "name": "n",
        "prefix": "tw_live_abcd",
        "scopes": ("read",),
        "mode": "live",
        "ip_allow": (),
        "created_ms": 0,
        "expires_ms": 0,
        "last_used_ms": 0,
        "revoked_ms": 0,
    }
    return ApiKey(**{**given, **changed})  # type: ignore[arg-type]


@given(st.text(max_size=60), st.sampled_from(apikeys.MODES))
def test_a_made_key_has_the_form_and_its_prefix_shows_little(entropy: str, mode: str) -> None:
    try:
        entropy.encode()
    except UnicodeEncodeError:
        return
    made = apikeys.make_key(entropy, mode)
    assert apikeys.has_form(made)
    assert made.startswith(f"tw_{mode}_")
    assert len(made) == 8 + 32
    assert len(apikeys.prefix_of(made)) == 12


def test_other_entropy_makes_another_key() -> None:
    made = {apikeys.make_key(f"token {n}", "live") for n in range(2000)}
    assert len(made) == 2000
    assert len({c for k in made for c in k[8:]}) == 62, "every character of base 62 occurs"


@given(st.text(max_size=50))
def test_what_is_no_key_is_told_apart_without_a_look_up(text: str) -> None:
    if not text.startswith("tw_"):
        assert not apikeys.has_form(text)


@pytest.mark.parametrize(
    "text",
    ["tw_live_short", "tw_prod_" + "a" * 32, "tw_live_" + "a" * 31 + "é", "tw_live_" + "a" * 32 + "\n"],
)
def test_near_misses_are_no_keys(text: str) -> None:
    assert not apikeys.has_form(text)


@given(st.lists(st.sampled_from([*apikeys.SCOPES, "write", ""]), max_size=6))
def test_scopes_are_known_ones_without_repetition(scopes: list[str]) -> None:
    if not scopes or not set(scopes) <= set(apikeys.SCOPES):
        with pytest.raises(InvalidData):
            apikeys.read_scopes(scopes)
        return
    read = apikeys.read_scopes(scopes)
    assert set(read) == set(scopes)
    assert len(read) == len(set(read))


def test_a_key_reads_unless_more_is_asked_for() -> None:
    assert apikeys.read_scopes(None) == ("read",)
    assert apikeys.read_mode(None) == "live"
    with pytest.raises(InvalidData):
        apikeys.read_mode("sandbox")


@given(
    st.lists(
        st.one_of(st.ip_addresses(), st.ip_addresses().map(lambda a: f"{a}/{24 if a.version == 4 else 64}")),
        max_size=5,
    ),
    st.ip_addresses(),
)
def test_an_address_is_allowed_when_a_network_of_the_list_holds_it(
    networks: list[object], address: object
) -> None:
    allow = apikeys.read_ip_allow([str(n) for n in networks])
    held = [ip_network(str(n), strict=False) for n in networks]
    parsed = ip_address(str(address))
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    expected = not networks or any(mapped.version == n.version and mapped in n for n in held)
    assert apikeys.allows(allow, str(address)) == expected


def test_a_list_is_never_satisfied_by_an_unknown_address() -> None:
    for address in ("", "nonsense", "10.0.0"):
        assert not apikeys.allows(("10.0.0.0/8",), address)
    assert apikeys.allows(("10.0.0.0/8",), "::ffff:10.1.1.1")


@pytest.mark.parametrize("networks", [["nonsense"], ["10.0.0.0/33"], [""], ["10.0.0.1"] * 51])
def test_a_list_that_is_none_is_refused(networks: list[str]) -> None:
    with pytest.raises(InvalidData):
        apikeys.read_ip_allow(networks)


@given(st.integers(0, 250_000_000_000_000))
def test_an_expiry_lies_ahead_and_is_read_to_the_millisecond(ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    if ms <= NOW_MS:
        with pytest.raises(InvalidData):
            apikeys.read_expiry(moment.isoformat(), NOW_MS)
    else:
        assert apikeys.read_expiry(moment.isoformat(), NOW_MS) == ms


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2030-01-01", "2030-01-01T00:00:00", "9999-12-31T23:59:59-23:00"]
)
def test_an_expiry_without_form_or_offset_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        apikeys.read_expiry(text, NOW_MS)


def test_no_expiry_is_never() -> None:
    assert apikeys.read_expiry(None, NOW_MS) == 0
    assert iso_or_none(0) is None
    assert iso(1_767_225_600_000) == "2026-01-01T00:00:00Z"


def test_a_key_counts_until_it_expires_or_is_taken_back_and_from_where_it_may() -> None:
    here = {"now_ms": 1000, "address": "10.0.0.1"}
    assert key().counts(**here)
    assert key(expires_ms=1001).counts(**here)
    assert not key(expires_ms=1000).counts(**here)
    assert not key(revoked_ms=1).counts(**here)
    assert not key(ip_allow=("10.0.0.2/32",)).counts(**here)


def test_a_test_key_never_trades() -> None:
    assert key(scopes=("read", "trade")).rights == {"read", "trade"}
    assert key(scopes=("read", "trade"), mode="test").rights == {"read"}


def test_limits_are_met_exactly() -> None:
    assert len(apikeys.read_ip_allow(["10.0.0.1"] * 50)) == 50
    assert apikeys.read_ip_allow([" 10.0.0.9/8 "]) == ("10.0.0.0/8",)
    with pytest.raises(InvalidData):
        apikeys.read_expiry(datetime.fromtimestamp(NOW_MS / 1000, UTC).isoformat(), NOW_MS)
    assert apikeys.read_expiry("9999-12-31T00:00:00Z", NOW_MS) == 253_402_214_400_000
    assert apikeys.read_expiry("2030-01-01T02:00:00+02:00", NOW_MS) == 1_893_456_000_000
    assert iso_or_none(1) == "1970-01-01T00:00:00Z"
    assert apikeys.allows(("fe80::/64",), "fe80::1%eth0")


@pytest.mark.parametrize(
    ("ask", "meta"),
    [
        (
            lambda: apikeys.read_scopes(["all"]),
            {"field": "scopes", "allowed": ["read", "scan", "trade", "admin"]},
        ),
        (lambda: apikeys.read_scopes([]), {"field": "scopes", "allowed": ["read", "scan", "trade", "admin"]}),
        (lambda: apikeys.read_mode("real"), {"field": "mode", "allowed": ["live", "test"]}),
        (lambda: apikeys.read_ip_allow(["10.0.0.1"] * 51), {"field": "ip_allow"}),
        (lambda: apikeys.read_ip_allow(["everywhere"]), {"field": "ip_allow"}),
        (lambda: apikeys.read_expiry("soon", 0), {"field": "expires_at"}),
        (lambda: apikeys.read_expiry("2030-01-01T00:00:00", 0), {"field": "expires_at"}),
        (lambda: apikeys.read_expiry("0001-01-01T00:00:00+14:00", 0), {"field": "expires_at"}),
        (lambda: apikeys.read_expiry("1970-01-01T00:00:00Z", 0), {"field": "expires_at"}),
    ],
)
def test_a_refusal_names_its_field_and_what_is_allowed(
    ask: Callable[[], object], meta: dict[str, object]
) -> None:
    with pytest.raises(InvalidData) as refused:
        ask()
    assert refused.value.meta == meta
    assert str(refused.value)


def test_the_last_moment_a_key_may_end() -> None:
    assert apikeys.read_expiry("9999-12-31T23:59:59Z", 0) == 253_402_300_799_000
    with pytest.raises(InvalidData):
        apikeys.read_expiry("9999-12-31T23:59:59.001Z", 0)
