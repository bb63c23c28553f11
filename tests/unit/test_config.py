"""Settings: what is refused, in which words."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from otp_app.config import ProviderName, Settings, SettingsError, load_settings
from otp_app.verification.limits import POLICY

NAMES = {name.upper() for name in Settings.model_fields if name != "limit_rates"} | {
    limit.name for limit in POLICY
}
TWILIO = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "token-canary",
    "TWILIO_VERIFY_SERVICE_SID": "VA" + "0" * 32,
}
VONAGE = {"VONAGE_API_KEY": "abcd1234", "VONAGE_API_SECRET": "secret-canary"}
VONAGE_JWT = {
    "VONAGE_APPLICATION_ID": "00000000-0000-4000-8000-000000000000",
    "VONAGE_PRIVATE_KEY": "key-canary",
}
SIGNED = {"VONAGE_SIGNATURE_SECRET": "signature-canary" * 2}
PUBLIC = {"PUBLIC_URL": "https://verify.example.com"}
PRODUCTION = {
    "APP_ENV": "production",
    "SECRET_KEY": "s" * 32,
    "PUBLIC_URL": "https://verify.example.com",
    "ALLOWED_COUNTRIES": "US, GB",
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED", raising=False)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def load(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings(None)


@pytest.mark.parametrize(
    ("environment", "provider"),
    [
        ({}, ProviderName.CONSOLE),
        (TWILIO, ProviderName.TWILIO),
        (VONAGE, ProviderName.VONAGE),
        (VONAGE_JWT, ProviderName.VONAGE),
        (TWILIO | {"OTP_PROVIDER": "console"}, ProviderName.CONSOLE),
        (TWILIO | VONAGE | {"OTP_PROVIDER": "vonage"}, ProviderName.VONAGE),
        (TWILIO | {"VONAGE_API_KEY": ""}, ProviderName.TWILIO),
    ],
)
def test_the_provider_is_the_one_asked_for_or_the_one_with_credentials(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], provider: ProviderName
) -> None:
    assert load(monkeypatch, environment).provider is provider


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"PORT": "canary"}, ["PORT"]),
        ({"PORT": "70000"}, ["PORT"]),
        ({"APP_ENV": "canary"}, ["APP_ENV"]),
        ({"OTP_PROVIDER": "canary"}, ["OTP_PROVIDER"]),
        ({"OTP_PROVIDER": "twilio"}, list(TWILIO)),
        ({"OTP_PROVIDER": "vonage"}, list(VONAGE)),
        ({"VONAGE_API_KEY": "canary"}, ["VONAGE_API_SECRET"]),
        ({"VONAGE_PRIVATE_KEY": "canary"}, ["VONAGE_APPLICATION_ID"]),
        ({"TWILIO_AUTH_TOKEN": "canary"}, ["TWILIO_ACCOUNT_SID", "TWILIO_VERIFY_SERVICE_SID"]),
        ({"TWILIO_ACCOUNT_SID": "canary"}, ["TWILIO_ACCOUNT_SID"]),
        ({"TWILIO_VERIFY_SERVICE_SID": "AC" + "0" * 32}, ["TWILIO_VERIFY_SERVICE_SID"]),
        (TWILIO | VONAGE, ["OTP_PROVIDER"]),
        ({"SECRET_KEY": "canary"}, ["SECRET_KEY"]),
        ({"PUBLIC_URL": "canary"}, ["PUBLIC_URL"]),
        ({"PUBLIC_URL": "https://a.example/canary"}, ["PUBLIC_URL"]),
        ({"VONAGE_BASE_URL": "ftp://canary"}, ["VONAGE_BASE_URL"]),
        ({"TWILIO_BASE_URL": "https://user:canary@a.example"}, ["TWILIO_BASE_URL"]),
        ({"VONAGE_BRAND_NAME": "canary canary canary"}, ["VONAGE_BRAND_NAME"]),
        ({"VONAGE_BRAND_NAME": "canary/x"}, ["VONAGE_BRAND_NAME"]),
        ({"DEFAULT_COUNTRY": "canary"}, ["DEFAULT_COUNTRY"]),
        ({"OTP_LOCALE": "canary!"}, ["OTP_LOCALE"]),
        ({"LIMIT_SEND_NUMBER": "canary"}, ["LIMIT_SEND_NUMBER"]),
        ({"LIMIT_SEND_NUMBER": "0/minute"}, ["LIMIT_SEND_NUMBER"]),
        ({"LIMIT_SEND_NUMBER": "5/hour; 9/day"}, ["LIMIT_SEND_NUMBER"]),
        ({"PUBLIC_URL": "https://a.example:canary"}, ["PUBLIC_URL"]),
        ({"PUBLIC_URL": "https://a.example:99999"}, ["PUBLIC_URL"]),
        (PRODUCTION | TWILIO | {"LIMIT_SEND_NUMBER": "51/hour"}, ["LIMIT_SEND_NUMBER"]),
        (
            {"APP_ENV": "production"},
            ["OTP_PROVIDER", "SECRET_KEY", "PUBLIC_URL", "ALLOWED_COUNTRIES"],
        ),
        ({"ALLOWED_COUNTRIES": "US;canary"}, ["ALLOWED_COUNTRIES"]),
        (VONAGE_JWT | {"VONAGE_SIGNATURE_SECRET": "canary"}, ["VONAGE_SIGNATURE_SECRET"]),
        (VONAGE | SIGNED, ["VONAGE_SIGNATURE_SECRET", "VONAGE_APPLICATION_ID"]),
        (PRODUCTION, ["OTP_PROVIDER"]),
        (PRODUCTION | TWILIO | {"OTP_PROVIDER": "console"}, ["OTP_PROVIDER"]),
        (PRODUCTION | TWILIO | {"PUBLIC_URL": "http://canary.example"}, ["PUBLIC_URL"]),
        (PRODUCTION | TWILIO | {"TWILIO_BASE_URL": "http://canary"}, ["TWILIO_BASE_URL"]),
        (PRODUCTION | VONAGE | {"VONAGE_BASE_URL": "http://canary"}, ["VONAGE_BASE_URL"]),
    ],
)
def test_a_bad_setting_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, environment)

    text = str(caught.value)
    assert all(name in text for name in named)
    assert "canary" not in text


@pytest.mark.parametrize(
    ("environment", "reporters"),
    [
        (PUBLIC, set()),
        (VONAGE_JWT | PUBLIC, set()),
        (VONAGE_JWT | SIGNED, {ProviderName.VONAGE}),
        (TWILIO, set()),
        (TWILIO | PUBLIC, {ProviderName.TWILIO}),
        (TWILIO | PUBLIC | {"OTP_PROVIDER": "console"}, {ProviderName.TWILIO}),
    ],
)
def test_reports_are_taken_where_they_can_be_told_from_forged_ones(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], reporters: set[ProviderName]
) -> None:
    assert load(monkeypatch, environment).reporters == reporters


def test_a_limit_is_set_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {"LIMIT_SEND_ADDRESS": "50/15 minutes"})

    slack = [(limit.amount, limit.window) for limit in settings.limits]
    assert (100, timedelta(hours=1)) in slack  # LIMIT_SEND_NUMBER, loose in development
    settings = load(monkeypatch, PRODUCTION | TWILIO)
    changed = [
        limit for limit, default in zip(settings.limits, POLICY, strict=True) if limit != default
    ]
    assert [(limit.name, limit.amount, limit.window) for limit in changed] == [
        ("LIMIT_SEND_ADDRESS", 50, timedelta(minutes=15))
    ]


def test_production_with_everything_set_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, PRODUCTION | TWILIO)

    assert settings.is_https
    assert settings.countries == {"US", "GB"}
    assert settings.allowed_origins == ("https://verify.example.com",)


def test_secrets_do_not_show_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, TWILIO | VONAGE | VONAGE_JWT | SIGNED | {"OTP_PROVIDER": "vonage"})

    assert "canary" not in repr(settings)


def test_the_environment_goes_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=4000\nDEFAULT_COUNTRY=NL\n")
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("DEFAULT_COUNTRY", "")  # remembered, so that the file's is undone
    monkeypatch.delenv("DEFAULT_COUNTRY")

    settings = load_settings(file)

    assert (settings.port, settings.default_country) == (5000, "NL")


def test_the_example_file_lists_every_setting_and_works_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = Path(".env.example").read_text()
    listed = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    for name in listed:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    settings = load_settings(Path(".env.example"))

    assert listed == NAMES
    assert settings.provider is ProviderName.CONSOLE
    assert all(os.environ.get(name, "") == "" for name in (*TWILIO, *VONAGE))


def test_the_readme_lists_every_setting() -> None:
    table = Path("README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([A-Z_]{4,})`", table)) - {"PORT"}

    assert listed | {"PORT"} == NAMES - {limit.name for limit in POLICY}
    assert "`LIMIT_…`" in table
