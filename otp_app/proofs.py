"""Proofs: signed tokens that the page with the right code exchanges for a session.

A proof is the id of an approved verification and our signature over that id and the flow. Only the
answer to the check that approved the verification carries the proof, so the flow cookie alone buys
no session. The flow itself is not in the proof, because scripts must not read the flow cookie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from itsdangerous import Signer

if TYPE_CHECKING:
    from otp_app.verification.models import Flow


class Proofs:
    """Issues and opens proofs."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="otp_app.proof")

    def issue(self, flow: Flow, id_: str) -> str:
        """The proof for the page that entered the right code of *id_* in *flow*."""
        return f"{id_}.{self._signature(flow, id_)}"

    def open(self, proof: str, flow: Flow) -> str | None:
        """The id of the verification in *proof*, or None if we did not issue *proof* in *flow*."""
        id_, _, signature = proof.rpartition(".")
        is_ours = self._signer.verify_signature(_signed(flow, id_), signature)
        return id_ if is_ours else None

    def _signature(self, flow: Flow, id_: str) -> str:
        return self._signer.get_signature(_signed(flow, id_)).decode()


def _signed(flow: Flow, id_: str) -> str:
    return f"{flow}.{id_}"
