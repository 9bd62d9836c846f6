"""Which network addresses may be called on somebody's behalf. Pure.

Only addresses of the public internet are good: what the IANA registries of special-purpose addresses name is
refused, and so is an IPv6 address that carries a refused IPv4 address inside.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_V4_REFUSED = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared (carrier NAT, cloud metadata)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local (cloud metadata)"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments (cloud metadata)"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_V6_PUBLIC = IPv6Network("2000::/3")
_V6_REFUSED = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("2001::/23", "protocol assignments (Teredo, ORCHID, benchmarking)"),
        ("2001:db8::/32", "documentation"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
    )
)
_V6_MAPPED = IPv6Network("::ffff:0:0/96")
_V6_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_V6_COMPATIBLE = IPv6Network("::/96")
_V6_NAT64 = IPv6Network("64:ff9b::/96")
_V6_6TO4 = IPv6Network("2002::/16")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_LOW_32 = 0xFFFF_FFFF


def refusal(text: str) -> str | None:
    """Why an address may not be called; None when it may. Whatever is no address is refused."""
    try:
        address = ip_address(text)
    except ValueError:
        return "not an address"
    if isinstance(address, IPv4Address):
        return _refusal_v4(address)
    if address.scope_id is not None:
        return "scoped"
    return _refusal_v6(address)


def _refusal_v4(address: IPv4Address) -> str | None:
    return next((why for network, why in _V4_REFUSED if address in network), None)


def _refusal_v6(address: IPv6Address) -> str | None:
    if address == IPv6Address("::1"):
        return "loopback"
    inner = _carried(address)
    if inner is not None:
        why = _refusal_v4(inner)
        if why is not None:
            return f"{why} ({inner} inside IPv6)"
        # A public IPv4 address in a form that goes out to the public internet is as good as itself.
        return None if address in _V6_MAPPED or address in _V6_NAT64 else "IPv4 inside IPv6"
    if address not in _V6_PUBLIC:
        return "not of the public internet"
    return next((why for network, why in _V6_REFUSED if address in network), None)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address an IPv6 address carries, by any of the ways known."""
    bits = int(address)
    if any(address in network for network in (_V6_MAPPED, _V6_TRANSLATED, _V6_COMPATIBLE, _V6_NAT64)):
        return IPv4Address(bits & _LOW_32)
    if address in _V6_6TO4:
        return IPv4Address(bits >> 80 & _LOW_32)
    if bits >> 32 & _LOW_32 in _ISATAP:
        return IPv4Address(bits & _LOW_32)
    return None
