"""The client of a request: its address behind trusted proxies, and its keys in limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import Flow

IPV6_PREFIX = 64  # bits; one subscriber can use every address of at least an IPv6 /64 (RFC 6177)
SITE = 48  # bits; one customer of a hoster or tunnel broker may have a /48, 65,536 /64s (RFC 6177)
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
    """Return the address of the client, which is *peer* unless there are trusted proxies.

    Each proxy appends the address of its own peer to X-Forwarded-For (*forwarded_for*). With *hops*
    trusted proxies, the outermost one has written the *hops*-th entry from the right. A client can
    forge all entries to the left of it.
    """
    chain = forwarded_for.split(",")
    if not 0 < hops <= len(chain):
        return peer
    address = _parsed(chain[-hops].strip())
    return str(address) if address else peer


def address_key(address: str) -> str:
    """Return the key by which limits count *address*: an IPv4 address, or the /64 of an IPv6 one.

    An IPv6 address that contains the IPv4 address of its user counts as that IPv4 address. The key
    of an invalid address is `UNKNOWN`.
    """
    match _parsed(address):
        case IPv4Address() as found:
            return str(found)
        case IPv6Address() as found:
            return str(_ipv4_inside(found) or _network(found, IPV6_PREFIX))
        case _:
            return UNKNOWN


def network_key(address: str) -> str:
    """Return the /48 network of *address*, an IPv6 address or its key.

    The result is empty for every other address. IPv4 addresses are scarce enough to be counted
    without their network.
    """
    found = _parsed(address.partition("/")[0])
    if isinstance(found, IPv6Address) and not _ipv4_inside(found):
        return str(_network(found, SITE))
    return ""


def client_keys(address: str) -> tuple[str, ...]:
    """Return the keys by which rates count *address*: the address key, then any network key."""
    return tuple(filter(None, (address_key(address), network_key(address))))


def is_direct_loopback(address: str, headers: Mapping[str, str]) -> bool:
    """Return whether a request from *address* with *headers* seems to come from this machine.

    A proxy on this machine forwards requests of other machines from a loopback address. Most
    proxies add a header, and most such requests name another host. A tunnel that only forwards
    bytes cannot be detected. The names in *headers* are in lower case.
    """
    found = _parsed(address)
    is_local = found is not None and found.is_loopback
    names_it = _THIS_MACHINE.fullmatch(headers.get("host", "")) is not None
    return is_local and names_it and not any(map(_BY_A_PROXY.fullmatch, headers))


def _network(address: IPv6Address, bits: int) -> IPv6Network:
    return IPv6Network((int(address), bits), strict=False)


def _ipv4_inside(address: IPv6Address) -> IPv4Address | None:
    """Return the user's IPv4 address in a 6to4 (RFC 3056), Teredo (RFC 4380) or NAT64 address."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.teredo[1] if address.teredo else address.sixtofour


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in *text*, or None if *text* is anything but an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:  # `ip_address` accepts any text after a "%" as a zone
        return None
    return address.ipv4_mapped or address


class Device(Protocol):
    """A record of successful verifications that a browser keeps after its session has ended."""

    def has_proved(self, phone: PhoneNumber) -> bool:
        """Return whether the browser has verified *phone* before."""
        ...


@dataclass(frozen=True)
class Client:
    """The origin of a request: a browser or a program with an API key.

    Attributes:
        flow: the browser's flow, from its cookie.
        address: the IP address, in the form that limits count by.
        proved: the number, in E.164, that the browser's session has proved, or empty.
        key: the name of the API key, or empty. Limits count it in place of the address.
        language: the BCP 47 tag for messages. If empty, the provider chooses.
        device: the browser's record of earlier successes. None for an API key.
    """

    flow: Flow
    address: str
    proved: str = ""
    key: str = ""
    language: str = ""
    device: Device | None = None

    @property
    def source(self) -> str:
        """The origin of a message for the audit: the API key if there is one, else the address."""
        return f"key {self.key}" if self.key else self.address

    def has_proved(self, phone: PhoneNumber) -> bool:
        """Return whether this browser has proved that it holds *phone*, now or earlier."""
        return self.proved == phone.e164 or bool(self.device and self.device.has_proved(phone))

    @cached_property
    def network(self) -> str:
        """The /48 network of an IPv6 address; empty if no network limit applies."""
        return network_key(self.address)
