"""Which addresses may be called: beside an independent list of plain numbers, and known tricks by name."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.addresses import refusal

# First and last address of what is not the public internet: IANA special-purpose registries (2025), multicast
# and reserved space, and the metadata addresses of large clouds that lie in public space.
V4_BAD = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.31.196.0", "192.31.196.255"),
    ("192.52.193.0", "192.52.193.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("192.175.48.0", "192.175.48.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
]


def number(text: str) -> int:
    a, b, c, d = map(int, text.split("."))
    return a << 24 | b << 16 | c << 8 | d


BAD_RANGES = [(number(first), number(last)) for first, last in V4_BAD]


def is_bad_v4(value: int) -> bool:
    return any(first <= value <= last for first, last in BAD_RANGES)


def dotted(value: int) -> str:
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


edges = [v for first, last in BAD_RANGES for v in (first - 1, first, last, last + 1) if 0 <= v < 2**32]
v4 = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from(edges),
    st.sampled_from(BAD_RANGES).flatmap(lambda bounds: st.integers(*bounds)),
)


@given(value=v4)
def test_an_ipv4_address_is_refused_exactly_where_the_list_says(value: int) -> None:
    assert (refusal(dotted(value)) is not None) == is_bad_v4(value)


@given(value=v4)
def test_an_ipv4_address_inside_ipv6_is_judged_by_itself(value: int) -> None:
    for shape in ("::ffff:{}", "64:ff9b::{}"):
        assert (refusal(shape.format(dotted(value))) is not None) == is_bad_v4(value)


@given(value=v4, rest=st.integers(0, 2**80 - 1), prefix=st.integers(0x2003, 0x25FF))
def test_other_ways_to_carry_an_ipv4_address_are_never_called(value: int, rest: int, prefix: int) -> None:
    for bits in (
        value,  # ::a.b.c.d
        0xFFFF << 48 | value << 0,  # ::ffff:0:a.b.c.d, translated
        0x2002 << 112 | value << 80 | rest,  # 6to4
        0x2001_0000 << 96 | rest,  # Teredo
        prefix << 112 | 0x0000_5EFE << 32 | value,  # ISATAP
        prefix << 112 | 0x0200_5EFE << 32 | value,
        0x0064_FF9B_0001 << 80 | rest,  # local NAT64
    ):
        assert refusal(str(ipaddress.IPv6Address(bits))) is not None


@given(bits=st.integers(0, 2**128 - 1))
def test_outside_of_the_public_eighth_no_ipv6_address_is_called(bits: int) -> None:
    address = ipaddress.IPv6Address(bits)
    if bits >> 125 == 1 or address.ipv4_mapped or bits >> 32 == 0x0064_FF9B << 64:
        return
    assert refusal(str(address)) is not None


@given(bits=st.integers(0, 2**128 - 1))
def test_what_is_let_through_is_global_for_the_standard_library_too(bits: int) -> None:
    for address in (ipaddress.IPv6Address(bits), ipaddress.IPv4Address(bits & 0xFFFF_FFFF)):
        if refusal(str(address)) is None:
            inner = getattr(address, "ipv4_mapped", None) or address
            assert inner.is_global and not inner.is_multicast


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.100.100.200", "192.0.0.192", "168.63.129.16", "255.255.255.255", "224.0.0.1", "::", "::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::7f00:1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "fe80::1",
        "fe80::1%eth0", "2600::1%1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1",
        "100::1", "5f00::1", "2001:10::1", "2001:20::1", "4000::1", "", "localhost", "1.2.3", "0x7f000001",
        "2130706433",
        "1.2.3.4.5", "01.2.3.4", "8.8.8.8 ", "[::1]",
    ],
)  # fmt: skip
def test_known_tricks_are_refused(text: str) -> None:
    assert refusal(text) is not None


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1",
     "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_public_addresses_are_called(text: str) -> None:
    assert refusal(text) is None
