"""The address of a client behind trusted proxies, and the keys that its limits count under."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SUBSCRIBER = 64  # bits; one subscriber has at least all of an IPv6 /64 (RFC 6177) to change within
SITE = 48  # bits; a hoster or tunnel broker gives one customer a /48 (RFC 6177), 65,536 times a /64
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
UNKNOWN = "unknown"
_BY_A_PROXY = re.compile(  # RFC 7239, RFC 8586, RFC 9110, and the habits of vendors
    r"forwarded|via|cdn-loop|x-scheme"
    r"|x-(forwarded|original|proxy|nginx|envoy|amz|amzn|azure|arr|appengine|vercel|nf|tunnel)\b.*"
    r"|(cf|fly|ngrok)-.*|.*(client|connecting|peer|real|remote|source|user)-?(ip|addr|address)",
    re.IGNORECASE,
)
_THIS_MACHINE = re.compile(r"(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?", re.IGNORECASE)


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
    """The key that the limits of *address* count under: an IPv4 address, or the /64 of an IPv6 one.

    An IPv6 address that holds the IPv4 address of its user counts as that IPv4 address.
    """
    match _parsed(address):
        case IPv4Address() as found:
            return str(found)
        case IPv6Address() as found:
            return str(_ipv4_inside(found) or _network(found, SUBSCRIBER))
        case _:
            return UNKNOWN


def network_key(address: str) -> str:
    """The /48 around *address*, which is an IPv6 address or its key; "" for every other address.

    An IPv4 address is scarce enough to count alone.
    """
    found = _parsed(address.partition("/")[0])
    if isinstance(found, IPv6Address) and not _ipv4_inside(found):
        return str(_network(found, SITE))
    return ""


def client_keys(address: str) -> tuple[str, ...]:
    """The keys that rates of *address* count under: its own, then its network's if it has one."""
    return tuple(filter(None, (address_key(address), network_key(address))))


def is_this_machine(address: str, headers: Mapping[str, str]) -> bool:
    """True if a request from *address* with *headers* seems to be made on this machine.

    A proxy on this machine passes on requests of other machines from a loopback address. Most
    proxies add a header, and most such requests name another host. A tunnel that only passes bytes
    on cannot be seen. The names in *headers* are in lower case.
    """
    found = _parsed(address)
    is_local = found is not None and found.is_loopback
    names_it = _THIS_MACHINE.fullmatch(headers.get("host", "")) is not None
    return is_local and names_it and not any(map(_BY_A_PROXY.fullmatch, headers))


def _network(address: IPv6Address, bits: int) -> IPv6Network:
    return IPv6Network((int(address), bits), strict=False)


def _ipv4_inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address of the user of *address* by 6to4 (RFC 3056), Teredo (RFC 4380) or NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.teredo[1] if address.teredo else address.sixtofour


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
