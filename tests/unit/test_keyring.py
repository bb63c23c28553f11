"""The key schedule: one subkey of the secret for each purpose."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from otp_app.config import Settings
from otp_app.identity.keyring import Keyring, Purpose, find_keyring, open_keyring
from tests.browser.server import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"canary-secret-canary-secret-canary-secret"
KEYS = Keyring(SECRET)
PINNED = ["f91068ec", "26a09037", "a378b64c"]
MENTIONS = {  # the modules that may mention the setting
    "cli/doctor/configuration.py",
    "config/__init__.py",
    "config/site.py",
    "identity/keyring.py",
}


@pytest.mark.parametrize("purpose", Purpose)
def test_a_subkey_is_derived_by_hkdf(purpose: Purpose) -> None:
    """RFC 5869 sections 2.2 and 2.3, for one block and no salt."""
    extracted = hmac.digest(bytes(32), SECRET, "sha256")

    expanded = hmac.digest(extracted, f"otp_app {purpose}".encode() + b"\x01", "sha256")

    assert KEYS.subkey(purpose) == expanded


def test_the_schedule_stays_as_it_is() -> None:
    """The database has hashes that were made with these keys."""
    stored = (Purpose.STORED_NUMBER, Purpose.LIMIT, Purpose.IDEMPOTENCY)

    assert [KEYS.subkey(purpose).hex()[:8] for purpose in stored] == PINNED


def test_every_purpose_and_every_secret_has_a_key_of_its_own() -> None:
    keys = {ring.subkey(purpose) for ring in (KEYS, Keyring(b"t" * 48)) for purpose in Purpose}

    assert len(keys) == 2 * len(Purpose)
    assert SECRET not in keys


def test_a_keyring_does_not_show_its_secret() -> None:
    assert "canary" not in f"{KEYS} {KEYS!r}"


def test_no_other_module_uses_the_secret() -> None:
    app = ROOT / "otp_app"

    found = {
        str(path.relative_to(app))
        for path in app.rglob("*.py")
        if re.search(r"\bsecret_key\b|\bSECRET_FILE\.read", path.read_text())
    }

    assert found == MENTIONS


def test_without_a_setting_one_secret_is_created_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, given = Settings(secret_key=None), Settings(secret_key=SecretStr(SECRET.decode()))

    assert find_keyring(settings) is None
    assert list(tmp_path.iterdir()) == []
    created = open_keyring(settings)

    assert open_keyring(settings) == find_keyring(settings) == created
    assert len(created.secret) >= 48
    assert (tmp_path / ".data/secret_key").stat().st_mode & 0o777 == 0o600
    assert open_keyring(given) == find_keyring(given) == KEYS
