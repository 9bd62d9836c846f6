"""Who a call comes from: the peer, or what trusted proxies vouch for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import ConfigInvalid
from services.gateway.addresses import Addresses, limit_key, parse_networks

PROXIED = Addresses(parse_networks("10.0.0.0/8, 127.0.0.1, fd00::/8"))
ALONE = Addresses(())


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.2.2.2", "198.51.100.1"),
        ("127.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("", None, ""),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str | None, client: str) -> None:
    assert PROXIED.client(peer, forwarded) == client


@given(st.text(max_size=60))
def test_without_proxies_nothing_a_client_says_counts(forwarded: str) -> None:
    assert ALONE.client("203.0.113.7", forwarded) == "203.0.113.7"


@given(st.text(max_size=60))
def test_no_header_can_make_it_fail(forwarded: str) -> None:
    PROXIED.client("10.0.0.1", forwarded)


def test_loopback_addresses_are_told_apart() -> None:
    assert limit_key(ALONE.client("127.0.0.2", None)) != limit_key(ALONE.client("127.0.0.1", None))


def test_an_ipv6_subscriber_is_one_caller() -> None:
    assert limit_key("2001:db8:1:2::5") == limit_key("2001:db8:1:2:ffff::9") != limit_key("2001:db8:1:3::5")


def test_https_is_believed_from_trusted_proxies_only() -> None:
    assert PROXIED.secure("10.0.0.1", "https", tls=False)
    assert not PROXIED.secure("10.0.0.1", "http", tls=True)
    assert not PROXIED.secure("203.0.113.7", "https", tls=False)
    assert ALONE.secure("203.0.113.7", None, tls=True)


def test_a_network_that_is_none_is_said() -> None:
    with pytest.raises(ConfigInvalid, match=r"TRADEWIND_TRUSTED_PROXIES .*10\.0\.0\.0/99"):
        parse_networks("10.0.0.0/99")
