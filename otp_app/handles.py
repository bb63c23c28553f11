"""Handles: the `requestId` that callers without a cookie hold a verification by.

A handle is the flow that was minted for the call, the verification's id, and our signature over
both and the caller's name. Whoever holds one may check and resend this one verification, and no
other; one of an API key is worth nothing without that key. It is good for as long as the
verification is remembered.
"""

from __future__ import annotations

from itsdangerous import BadSignature, Signer

from otp_app.verification.models import Flow


class Handles:
    """Issues and opens them."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def issue(self, flow: Flow, id_: str, caller: str = "") -> str:
        """The handle of *id_*, for *caller* only: the name of an API key, or nobody's."""
        return self._signer(caller).sign(f"{flow}.{id_}").decode()

    def open(self, handle: str, caller: str = "") -> tuple[Flow, str] | None:
        """The flow and id in *handle*, if we issued it to *caller*."""
        try:
            text = self._signer(caller).unsign(handle).decode()
        except BadSignature:
            return None
        flow, _, id_ = text.partition(".")
        return Flow(flow), id_

    def _signer(self, caller: str) -> Signer:
        return Signer(self._secret, salt=f"otp_app.handle.{caller}")
