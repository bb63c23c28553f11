"""Who asks: the address behind the proxies in front of us, and what it is counted under."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SUBSCRIBER = 64  # bits; one subscriber has at least all of an IPv6 /64 (RFC 6177) to change within
UNKNOWN = "unknown"
_FORWARDED = {"forwarded", "x-forwarded-for", "x-real-ip", "via"}  # RFC 7239, RFC 9110, and habit


def client_address(peer: str, forwarded_for: str, hops: int) -> str:
    """The address of the client, which is *peer* unless *hops* trusted proxies are in front of us.

    Each proxy appends to X-Forwarded-For whom it heard from. So the *hops*-th entry from the right
    is the outermost proxy's word; what is left of it, anybody may have written.
    """
    chain = forwarded_for.split(",")
    if not 0 < hops <= len(chain):
        return peer
    address = _parsed(chain[-hops].strip())
    return str(address) if address else peer


def address_key(address: str) -> str:
    """What the limits of *address* count under: an IPv4 address, the /64 of an IPv6 one."""
    match _parsed(address):
        case IPv4Address() as found:
            return str(found)
        case IPv6Address() as found:
            return str(IPv6Network((int(found), SUBSCRIBER), strict=False))
        case _:
            return UNKNOWN


def is_this_machine(address: str, headers: Iterable[str]) -> bool:
    """Whether a request from *address* with *headers*, their names, was made on this machine.

    A tunnel or a proxy on it brings strangers from a loopback address, and says so in a header.
    """
    found = _parsed(address)
    is_forwarded = any(name.lower() in _FORWARDED for name in headers)
    return found is not None and found.is_loopback and not is_forwarded


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address in *text*, if it is one and nothing else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:  # whatever is behind a % is taken for a zone
        return None
    return address.ipv4_mapped or address
