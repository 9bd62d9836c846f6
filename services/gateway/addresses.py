"""Which address a call comes from, and whether it came over https: proxies are believed only when trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from libs.common.errors import ConfigInvalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_V6_PREFIX = 64  # what one subscriber gets; a single address of it is no identity


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated list; ConfigInvalid names the one that is none."""
    networks: list[Network] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError as e:
            raise ConfigInvalid(f"TRADEWIND_TRUSTED_PROXIES can't be used: {part} is no network") from e
    return tuple(networks)


class Addresses:
    """Tells clients apart."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def client(self, peer: str, forwarded: str | None) -> str:
        """The client's address: the peer's, or the last one a trusted proxy vouches for."""
        if not forwarded or not self.trusts(peer):
            return _canonical(peer) if ":" in peer else peer  # an IPv4 peer comes from the kernel as it is
        for hop in reversed(forwarded.split(",")):
            address = _canonical(_without_port(hop.strip()))
            if not address:
                break  # a proxy wrote something that is no address: believe nothing beyond it
            peer = address
            if not self.trusts(address):
                break
        return _canonical(peer)

    def secure(self, peer: str, forwarded_proto: str | None, *, tls: bool) -> bool:
        """Whether the client's own connection is https."""
        if forwarded_proto and self.trusts(peer):
            return forwarded_proto.split(",")[-1].strip().lower() == "https"
        return tls

    def trusts(self, peer: str) -> bool:
        """Whether this peer is one of our proxies."""
        if not self._trusted:
            return False
        address = _parse(peer)
        return address is not None and any(
            address.version == network.version and address in network for network in self._trusted
        )


@lru_cache(maxsize=8192)
def limit_key(address: str) -> str:
    """What limits count: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _V6_PREFIX), strict=False).network_address)
    return address


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _canonical(text: str) -> str:
    if text.count(".") == 3 and ":" not in text:
        return text if _parse(text) else ""
    address = _parse(text)
    return str(address) if address else ""


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    if text.count(":") == 1:
        return text.partition(":")[0]
    return text
