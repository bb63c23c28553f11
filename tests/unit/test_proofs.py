"""Proofs: only what we issued, for exactly this flow and verification."""

from __future__ import annotations

import pytest

from otp_app.identity.callers import Proofs, VerificationTokens
from otp_app.identity.keyring import Keyring, Purpose
from otp_app.verification.models import Flow

KEYS = Keyring(b"s" * 48)
PROOFS = Proofs(KEYS.subkey(Purpose.PROOF))
TOKENS = VerificationTokens(KEYS.subkey(Purpose.VERIFICATION))
FLOW, OTHER_FLOW = Flow("flow-1"), Flow("flow-2")
PROOF = PROOFS.issue(FLOW, "id-1")


def test_a_proof_gives_the_verification_it_was_issued_for() -> None:
    assert PROOFS.open(PROOF, FLOW) == "id-1"


def test_in_another_flow_it_is_worth_nothing() -> None:
    assert PROOFS.open(PROOF, OTHER_FLOW) is None


@pytest.mark.parametrize(
    "forged",
    [
        "",
        ".",
        "id-1",
        "id-1.",
        "id-2." + PROOF.partition(".")[2],
        PROOF[:-1],
        PROOF + "A",
        "flow-1.id-1." + PROOF.partition(".")[2],
        "id-1.\xff\u2028\0",
        Proofs(b"t" * 32).issue(FLOW, "id-1"),
        TOKENS.issue(FLOW, "id-1"),
    ],
)
def test_what_we_did_not_issue_is_no_proof(forged: str) -> None:
    assert PROOFS.open(forged, FLOW) is None


def test_a_proof_is_no_token_and_does_not_hold_the_flow() -> None:
    assert TOKENS.read(PROOF) is None
    assert FLOW not in PROOF
