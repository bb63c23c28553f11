"""The caller of a request: a browser with our cookies, or a program with an API key or a token.

The pages, the plain forms and the API all learn from `Callers` who is calling.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, Signer

from otp_app.errors import ApiKeyRefused, FlowMissing, VerificationNotFound
from otp_app.verification.client import Client
from otp_app.verification.models import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_app.errors import OtpError
    from otp_app.identity.cookies import DeviceCookies, FlowCookies, SessionCookies
    from otp_app.verification.client import Device
    from otp_app.verification.sessions import Session, Sessions


class VerificationTokens:
    """Issues and reads verification tokens, signed with *key*.

    A token holds the flow of the call, the id of the verification, and a signature over both and
    the name of the caller's API key. Its holder may check and resend this one verification, and no
    other. A token that was issued to an API key is worth nothing without that key.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, flow: Flow, id_: str, caller: str = "") -> str:
        """Return the token for *id_* in *flow*, bound to *caller*.

        *caller* is the name of an API key, or empty for any bearer.
        """
        return self._signer(caller).sign(f"{flow}.{id_}").decode()

    def read(self, token: str, caller: str = "") -> tuple[Flow, str] | None:
        """Return the flow and the id in *token*, or None if it was not issued to *caller*."""
        try:
            text = self._signer(caller).unsign(token).decode()
        except BadSignature:
            return None
        flow, _, id_ = text.partition(".")
        return Flow(flow), id_

    def _signer(self, caller: str) -> Signer:
        return Signer(self._key, salt=f"caller {caller}")


class Proofs:
    """Issues and opens proofs, signed with *key*."""

    def __init__(self, key: bytes) -> None:
        self._signer = Signer(key)

    def issue(self, flow: Flow, id_: str) -> str:
        """Return the proof for the page that entered the right code of *id_* in *flow*."""
        return f"{id_}.{self._signature(flow, id_)}"

    def open(self, proof: str, flow: Flow) -> str | None:
        """Return the verification id in *proof*, or None if *proof* was not issued in *flow*."""
        id_, _, signature = proof.rpartition(".")
        is_ours = self._signer.verify_signature(_signed(flow, id_), signature)
        return id_ if is_ours else None

    def _signature(self, flow: Flow, id_: str) -> str:
        return self._signer.get_signature(_signed(flow, id_)).decode()


def _signed(flow: Flow, id_: str) -> str:
    return f"{flow}.{id_}"


NAME = "[a-z0-9-]{1,32}"
_BEARER = re.compile(rf"Bearer +(otp_({NAME})_[A-Za-z0-9_-]+)", re.IGNORECASE)


def new_key(name: str) -> tuple[str, str]:
    """Return a new key, and the entry for it in the setting `API_KEYS`.

    Raises:
        ValueError: *name* is not 1 to 32 lower-case letters, digits and hyphens.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError("a name has 1 to 32 lower-case letters, digits and hyphens")
    key = f"otp_{name}_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{_hash(key)}"


def key_name(authorization: str, hashes: Mapping[str, str]) -> str:
    """Return the name of the key in an `Authorization` header (RFC 6750 section 2.1).

    Args:
        authorization: value of the header.
        hashes: SHA-256 of each valid key in hexadecimal, by the name of the key.

    Raises:
        ApiKeyRefused: the header holds no valid key.
    """
    match = _BEARER.fullmatch(authorization)
    if match is None or not hmac.compare_digest(_hash(match[1]), hashes.get(match[2], "")):
        raise ApiKeyRefused
    return match[2]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Caller:
    """The caller of one request.

    Attributes:
        address: key under which limits count the caller's address.
        tokens: issues and reads the caller's verification tokens.
        flow: flow of the browser's cookie; None without the cookie.
        proved: number of the browser's session in E.164; empty without a session.
        key: name of the API key; empty without a key.
        language: BCP 47 tag of the language for messages; empty if the caller accepts no language
            that the app has.
        device: proof of earlier successful verifications in this browser. None for an API key: a
            program acts for many people, and each call may be about another person's number.
    """

    address: str
    tokens: VerificationTokens = field(repr=False)
    flow: Flow | None = None
    proved: str = ""
    key: str = ""
    language: str = ""
    device: Device | None = None

    def client(self, flow: Flow | None = None) -> Client:
        """Return this caller as the domain knows it, in *flow* or else in the flow of its cookie.

        Raises:
            FlowMissing: there is neither.
        """
        flow = flow or self.flow
        if flow is None:
            raise FlowMissing
        return Client(flow, self.address, self.proved, self.key, self.language, self.device)

    def public_id(self, flow: Flow, id_: str) -> str:
        """Return the id of verification *id_* that this caller receives.

        The id is *id_* itself if the caller's cookie is for *flow*, else a token.
        """
        return id_ if flow == self.flow else self.tokens.issue(flow, id_, self.key)

    def find(self, token: str) -> tuple[Client, str]:
        """Return the client and the id of the verification that *token* refers to.

        If *token* was not issued to this caller, it counts as an id in the flow of the cookie. An
        empty one is returned as it is: the caller then means the open verification of the flow.

        Raises:
            VerificationNotFound: *token* is not this caller's, or is empty beside an API key.
            FlowMissing: there is neither a token nor a cookie.
        """
        if opened := self.tokens.read(token, self.key):
            flow, id_ = opened
            return self.client(flow), id_
        if self.flow is None and (token or self.key):
            raise VerificationNotFound
        return self.client(), token


@dataclass(frozen=True)
class Callers:
    """Tells who is calling, from the cookies or the API key of a request."""

    flows: FlowCookies
    session_cookies: SessionCookies
    sessions: Sessions
    devices: DeviceCookies
    tokens: VerificationTokens

    async def browser(
        self, cookies: str, address: str, language: str, unknown: type[OtpError] | None = None
    ) -> Caller:
        """Return the browser that sent *cookies*.

        Args:
            cookies: the `Cookie` header of the request.
            address: the key under which limits count the browser's address.
            language: BCP 47 tag of the language for messages.
            unknown: the error to raise if there is no flow cookie. None accepts such a caller.

        Raises:
            StoreUnavailable: there is a session cookie, and the database is not available.
        """
        flow = self.flows.read(cookies)
        if flow is None and unknown:
            raise unknown
        session = await self.session(cookies)
        proved, device = session.phone.e164 if session else "", self.devices.read(cookies)
        return Caller(address, self.tokens, flow, proved, language=language, device=device)

    async def client(self, cookies: str, address: str, language: str) -> Client:
        """Return the browser that sent *cookies* as the domain knows it; see `browser`.

        Raises:
            FlowMissing: the browser blocks cookies, or the cookie expired while a tab was open.
        """
        return (await self.browser(cookies, address, language, FlowMissing)).client()

    def program(
        self, authorization: str, hashes: Mapping[str, str], address: str, language: str
    ) -> Caller:
        """Return the program with the API key in *authorization*; see `key_name`.

        Raises:
            ApiKeyRefused: the header holds no valid key.
        """
        return Caller(address, self.tokens, key=key_name(authorization, hashes), language=language)

    async def session(self, cookies: str) -> Session | None:
        """Return the valid session in a `Cookie` header, or None."""
        return await self.sessions.find(self.session_cookies.read(cookies))
