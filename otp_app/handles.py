"""Handles: signed tokens that identify a verification for API callers without a cookie.

The API calls a handle `requestId`. A handle consists of the flow that was created for the call, the
id of the verification, and our signature over both and the caller's name. The bearer may check and
resend this one verification. A handle that was issued to an API key is invalid without that key. A
handle is valid for as long as the verification is remembered.
"""

from __future__ import annotations

from itsdangerous import BadSignature, Signer

from otp_app.verification.models import Flow


class Handles:
    """Issues and opens handles, signed with *secret*."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def issue(self, flow: Flow, id_: str, caller: str = "") -> str:
        """Return a handle for *id_* that is bound to *caller*.

        *caller* is the name of an API key, or empty for any bearer.
        """
        return self._signer(caller).sign(f"{flow}.{id_}").decode()

    def open(self, handle: str, caller: str = "") -> tuple[Flow, str] | None:
        """Return the flow and the id in *handle*, or None if it was not issued to *caller*."""
        try:
            text = self._signer(caller).unsign(handle).decode()
        except BadSignature:
            return None
        flow, _, id_ = text.partition(".")
        return Flow(flow), id_

    def _signer(self, caller: str) -> Signer:
        return Signer(self._secret, salt=f"otp_app.handle.{caller}")
