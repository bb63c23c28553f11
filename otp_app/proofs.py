"""Proofs: what the page that got the right code exchanges for its session.

A proof is the id of an approved verification and our signature over that id and the flow. Only the
answer to the check that approved the verification carries it, so knowing the flow cookie is not
enough to get the session. It does not hold the flow: a script must not read the flow cookie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from itsdangerous import Signer

if TYPE_CHECKING:
    from otp_app.verification.models import Flow


class Proofs:
    """Issues and opens them."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="otp_app.proof")

    def issue(self, flow: Flow, id_: str) -> str:
        """The proof for whoever entered the right code of the verification *id_* in *flow*."""
        return f"{id_}.{self._signature(flow, id_)}"

    def open(self, proof: str, flow: Flow) -> str | None:
        """The id of the verification that *proof* is for, if we issued it in *flow*."""
        id_, _, signature = proof.rpartition(".")
        is_ours = self._signer.verify_signature(_signed(flow, id_), signature)
        return id_ if is_ours else None

    def _signature(self, flow: Flow, id_: str) -> str:
        return self._signer.get_signature(_signed(flow, id_)).decode()


def _signed(flow: Flow, id_: str) -> str:
    return f"{flow}.{id_}"
