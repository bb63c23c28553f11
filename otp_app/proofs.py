"""Proofs: signed tokens that the page with the right code exchanges for a session.

A proof is the id of an approved verification with our signature over that id and the flow. Only the
response to the check that approved the verification contains the proof, so the flow cookie alone is
not enough for a session. The proof does not contain the flow, because scripts must not read the
flow cookie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from itsdangerous import Signer

if TYPE_CHECKING:
    from otp_app.verification.models import Flow


class Proofs:
    """Issues and opens proofs, signed with *secret*."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="otp_app.proof")

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
