"""Who asks: the address behind the proxies in front of us, and what it is counted under."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

SUBSCRIBER = 64  # bits; one subscriber has at least all of an IPv6 /64 (RFC 6177) to change within
UNKNOWN = "unknown"


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


def is_loopback(address: str) -> bool:
    """Whether who comes from *address* is on this machine."""
    found = _parsed(address)
    return found is not None and found.is_loopback


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
