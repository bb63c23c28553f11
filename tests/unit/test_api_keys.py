"""API keys: made once, known by their hash."""

from __future__ import annotations

import hashlib

import pytest

from otp_app.__main__ import main
from otp_app.config import Settings
from otp_app.errors import ApiKeyRefused
from otp_app.identity.callers import key_name, new_key


def test_a_new_key_is_known_by_its_setting() -> None:
    key, setting = new_key("web-shop2")
    hashes = Settings(api_keys=setting).api_key_hashes

    assert key_name(f"Bearer {key}", hashes) == "web-shop2"
    assert len(key.removeprefix("otp_web-shop2_")) == 43  # 256 bits
    assert key not in setting
    assert new_key("web-shop2")[0] != key


def test_a_key_of_one_name_is_none_of_another() -> None:
    key, setting = new_key("shop")
    hashes = {"bank": setting.partition(":")[2]}

    with pytest.raises(ApiKeyRefused):
        key_name(f"Bearer {key}", hashes)
    with pytest.raises(ApiKeyRefused):
        key_name(f"Bearer {key.replace('shop', 'bank')}", hashes)


@pytest.mark.parametrize("name", ["", "Shop", "a b", "a_b", "a:b", "x" * 33, "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        new_key(name)


def test_the_command_prints_the_key_and_its_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "shop"]) == 0
    words = capsys.readouterr().out.split()

    (key,) = [word for word in words if word.startswith("otp_shop_")]
    (setting,) = [word for word in words if word.startswith("API_KEYS=")]
    assert setting == f"API_KEYS=shop:{hashlib.sha256(key.encode()).hexdigest()}"


def test_the_command_says_what_a_name_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["key", "My Shop"])

    assert "lower-case letters" in capsys.readouterr().err
