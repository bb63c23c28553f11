"""Settings: what is refused, in which words."""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from otp_app.config import ProviderName, RiskReaction, Settings, SettingsError, load_settings
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel
from otp_app.verification.risk import RiskSignal
from tests.receiver import new_secret

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
NUMBER_KEY = "k7Qm1gq0fV2cV1v0y3Zb9u8hX5tq4WnJr6sLpEoDdCI="  # pragma: allowlist secret
TEXT_KEY = urlsafe_b64encode(b"correct horse battery staple 123").decode()
HASH = "0" * 64
SIGNED = {"VONAGE_SIGNATURE_SECRET": "signature-canary" * 2}
PUBLIC = {"PUBLIC_URL": "https://verify.example.com"}
STREAMS = PUBLIC | {"TWILIO_EVENT_STREAMS": "true"}
EVENTS = {"WEBHOOK_URL": "https://backend.example.com/events", "WEBHOOK_SECRETS": new_secret()}
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
        ({"PUBLIC_URL": "https://@canary.example"}, ["PUBLIC_URL"]),
        (PRODUCTION | TWILIO | {"LIMIT_SEND_NUMBER": "51/hour"}, ["LIMIT_SEND_NUMBER"]),
        (
            {"APP_ENV": "production"},
            ["OTP_PROVIDER", "SECRET_KEY", "PUBLIC_URL", "ALLOWED_COUNTRIES"],
        ),
        ({"ALLOWED_COUNTRIES": "US;canary"}, ["ALLOWED_COUNTRIES"]),
        ({"PHONE_ENCRYPTION_KEYS": "canary"}, ["PHONE_ENCRYPTION_KEYS"]),
        ({"PHONE_ENCRYPTION_KEYS": f"{NUMBER_KEY},canary"}, ["PHONE_ENCRYPTION_KEYS"]),
        ({"PHONE_ENCRYPTION_KEYS": f"{NUMBER_KEY}canary"}, ["PHONE_ENCRYPTION_KEYS"]),
        ({"PHONE_ENCRYPTION_KEYS": "canary" + "A" * 37 + "="}, ["PHONE_ENCRYPTION_KEYS"]),
        (
            {"PHONE_ENCRYPTION_KEYS": urlsafe_b64encode(b"canary" * 6)[:43].decode() + "="},
            ["PHONE_ENCRYPTION_KEYS"],
        ),
        ({"PHONE_ENCRYPTION_KEYS": TEXT_KEY}, ["PHONE_ENCRYPTION_KEYS", "random"]),
        (PRODUCTION | TWILIO | {"PHONE_ENCRYPTION_KEYS": "canary"}, ["PHONE_ENCRYPTION_KEYS"]),
        ({"RETENTION_DAYS": "0"}, ["RETENTION_DAYS"]),
        ({"RETENTION_DAYS": "canary"}, ["RETENTION_DAYS"]),
        ({"ALLOWED_ORIGINS": "https://a.example,canary"}, ["ALLOWED_ORIGINS"]),
        ({"ALLOWED_ORIGINS": "https://a.example/canary"}, ["ALLOWED_ORIGINS"]),
        ({"ALLOWED_ORIGINS": "*"}, ["ALLOWED_ORIGINS"]),
        ({"API_KEYS": "canary"}, ["API_KEYS"]),
        ({"API_KEYS": f"Canary:{HASH}"}, ["API_KEYS"]),
        ({"API_KEYS": f"canary:{HASH},canary:{HASH}"}, ["API_KEYS"]),
        ({"API_PUBLIC": "canary"}, ["API_PUBLIC"]),
        (PRODUCTION | TWILIO | {"ALLOWED_ORIGINS": "http://canary.example"}, ["ALLOWED_ORIGINS"]),
        (VONAGE_JWT | {"VONAGE_SIGNATURE_SECRET": "canary"}, ["VONAGE_SIGNATURE_SECRET"]),
        (VONAGE | SIGNED, ["VONAGE_SIGNATURE_SECRET", "VONAGE_APPLICATION_ID"]),
        (TWILIO | {"TWILIO_EVENT_STREAMS": "true"}, ["TWILIO_EVENT_STREAMS", "PUBLIC_URL"]),
        (PRODUCTION, ["OTP_PROVIDER"]),
        (PRODUCTION | TWILIO | {"OTP_PROVIDER": "console"}, ["OTP_PROVIDER"]),
        (PRODUCTION | TWILIO | {"PUBLIC_URL": "http://canary.example"}, ["PUBLIC_URL"]),
        (PRODUCTION | TWILIO | {"TWILIO_BASE_URL": "http://canary"}, ["TWILIO_BASE_URL"]),
        (PRODUCTION | VONAGE | {"VONAGE_BASE_URL": "http://canary"}, ["VONAGE_BASE_URL"]),
        (
            PRODUCTION | TWILIO | {"TWILIO_LOOKUPS_BASE_URL": "http://canary"},
            ["TWILIO_LOOKUPS_BASE_URL"],
        ),
        (
            PRODUCTION | TWILIO | {"VONAGE_INSIGHTS_BASE_URL": "http://canary"},
            ["VONAGE_INSIGHTS_BASE_URL"],
        ),
        ({"WEBHOOK_URL": "https://canary.example/"}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_URL": "canary.example"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_URL": "ftp://canary.example"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_URL": "https://user:canary@a.example/"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_URL": "https://a.example/#canary"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_URL": "https://a.example/can ary"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_URL": "https://canary..example/"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_URL": f"https://{'canary' * 12}.example/"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_URL": "https://a.example:canary/"}, ["WEBHOOK_URL"]),
        (PRODUCTION | TWILIO | EVENTS | {"WEBHOOK_URL": "http://canary/"}, ["WEBHOOK_URL"]),
        (EVENTS | {"WEBHOOK_SECRETS": "canary"}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_SECRETS": "whsec_canary"}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_SECRETS": new_secret().removeprefix("whsec_")}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_SECRETS": new_secret(23)}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_SECRETS": new_secret(65)}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_SECRETS": f"{new_secret()},canary"}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_SECRETS": f"whsec_{'canary' * 7}a"}, ["WEBHOOK_SECRETS"]),
        (EVENTS | {"WEBHOOK_SECRETS": "whsec_canary" + "A" * 38}, ["WEBHOOK_SECRETS", "random"]),
        (EVENTS | {"WEBHOOK_SECRETS": f"whsec_{TEXT_KEY}"}, ["WEBHOOK_SECRETS", "random"]),
        ({"METRICS_TOKEN": "canary"}, ["METRICS_TOKEN"]),
        ({"MAX_SENDS_IN_FLIGHT": "0"}, ["MAX_SENDS_IN_FLIGHT"]),
        ({"MAX_SENDS_IN_FLIGHT": "513"}, ["MAX_SENDS_IN_FLIGHT"]),
        ({"MAX_CHECKS_IN_FLIGHT": "canary"}, ["MAX_CHECKS_IN_FLIGHT"]),
        ({"MAX_CHECKS_IN_FLIGHT": "31"}, ["MAX_CHECKS_IN_FLIGHT", "MAX_SENDS_IN_FLIGHT"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "canary:4317"}, ["OTEL_EXPORTER_OTLP_ENDPOINT"]),
        ({"NUMBER_LOOKUP": "canary"}, ["NUMBER_LOOKUP"]),
        (
            {"NUMBER_LOOKUP": "twilio"},
            ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "NUMBER_LOOKUP=off"],
        ),
        ({"NUMBER_LOOKUP": "vonage"}, list(VONAGE_JWT)),
        (VONAGE | {"NUMBER_LOOKUP": "vonage"}, list(VONAGE_JWT)),
        (
            VONAGE_JWT | {"NUMBER_LOOKUP": "vonage", "NUMBER_LOOKUP_PUMPING": "warn"},
            ["NUMBER_LOOKUP_PUMPING"],
        ),
        (
            VONAGE_JWT
            | {
                "NUMBER_LOOKUP": "vonage",
                "NUMBER_LOOKUP_SIM_SWAP": "ignore",
                "NUMBER_LOOKUP_VOIP": "ignore",
            },
            ["NUMBER_LOOKUP_SIM_SWAP", "NUMBER_LOOKUP_VOIP"],
        ),
        ({"NUMBER_LOOKUP_TIMEOUT": "canary"}, ["NUMBER_LOOKUP_TIMEOUT"]),
        ({"NUMBER_LOOKUP_TIMEOUT": "0"}, ["NUMBER_LOOKUP_TIMEOUT"]),
        ({"NUMBER_LOOKUP_TIMEOUT": "5.1"}, ["NUMBER_LOOKUP_TIMEOUT"]),
        ({"NUMBER_LOOKUP_TIMEOUT": "nan"}, ["NUMBER_LOOKUP_TIMEOUT"]),
        ({"NUMBER_LOOKUP_SIM_SWAP_HOURS": "2401"}, ["NUMBER_LOOKUP_SIM_SWAP_HOURS"]),
        ({"NUMBER_LOOKUP_SIM_SWAP": "canary"}, ["NUMBER_LOOKUP_SIM_SWAP"]),
        ({"BRAND_NAME": "canary " * 6}, ["BRAND_NAME"]),
        ({"BRAND_NAME": "canary\n"}, ["BRAND_NAME"]),
        ({"BRAND_COLOR": "canary"}, ["BRAND_COLOR", "#1f4fd8"]),
        ({"BRAND_RADIUS": "25"}, ["BRAND_RADIUS"]),
        ({"BRAND_RADIUS": "-1"}, ["BRAND_RADIUS"]),
        ({"BRAND_LOGO": "canary.svg"}, ["BRAND_LOGO", "assets/"]),
        ({"HELP_URL": "canary"}, ["HELP_URL"]),
        ({"HELP_URL": "javascript:canary()"}, ["HELP_URL", "mailto:"]),
        ({"HELP_URL": "tel:canary"}, ["HELP_URL"]),
        ({"HELP_URL": "mailto:canary"}, ["HELP_URL"]),
        ({"PRIVACY_URL": "https://"}, ["PRIVACY_URL"]),
        ({"PRIVACY_URL": "https://[canary"}, ["PRIVACY_URL"]),
        ({"TERMS_URL": "https://canary.example/a b"}, ["TERMS_URL"]),
        ({"TERMS_URL": "https://canary\u2100.example/"}, ["TERMS_URL"]),
        ({"CHANNELS": "canary"}, ["CHANNELS", "sms, voice, whatsapp"]),
        ({"CHANNELS": "sms,email"}, ["CHANNELS"]),
        ({"CHANNELS": "sms,sms"}, ["CHANNELS"]),
        ({"CHANNELS": ","}, ["CHANNELS"]),
        (VONAGE | {"CHANNELS": "sms,whatsapp"}, ["VONAGE_WHATSAPP_FROM", "CHANNELS"]),
        ({"VONAGE_WHATSAPP_FROM": "+44canary"}, ["VONAGE_WHATSAPP_FROM"]),
        ({"VONAGE_TEMPLATE_ID": "canary"}, ["VONAGE_TEMPLATE_ID"]),
        ({"TWILIO_TEMPLATE_SID": "canary"}, ["TWILIO_TEMPLATE_SID"]),
    ],
)
def test_a_bad_setting_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(monkeypatch, environment)

    text = str(caught.value)
    assert all(name in text for name in named)
    assert not [value for value in ("canary", NUMBER_KEY, TEXT_KEY) if value in text]


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("HTTPS://Verify.Example.com/", "https://verify.example.com"),
        ("https://verify.example.com:443", "https://verify.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("https://verify.example.com:", "https://verify.example.com"),
        ("https://verify.example.com:0443", "https://verify.example.com"),
        ("http://verify.example.com:443", "http://verify.example.com:443"),
        ("http://[2001:DB8::1]:8000", "http://[2001:db8::1]:8000"),
    ],
)
def test_an_address_is_kept_as_browsers_write_it(
    monkeypatch: pytest.MonkeyPatch, written: str, origin: str
) -> None:
    assert load(monkeypatch, {"PUBLIC_URL": written}).own_origins == (origin,)


@pytest.mark.parametrize("text", ["canary", "{}", '{"LIMIT_SEND_NUMBER": [9999, 1]}'])
def test_limits_are_set_by_their_names_only(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert load(monkeypatch, {"LIMIT_RATES": text}).limit_rates == {}


@pytest.mark.parametrize(
    ("environment", "reporters"),
    [
        (PUBLIC, set()),
        (VONAGE_JWT | PUBLIC, set()),
        (VONAGE_JWT | SIGNED, {ProviderName.VONAGE}),
        (TWILIO | PUBLIC, set()),
        (TWILIO | STREAMS, {ProviderName.TWILIO}),
        (TWILIO | STREAMS | {"OTP_PROVIDER": "console"}, {ProviderName.TWILIO}),
        (VONAGE | STREAMS, set()),
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


@pytest.mark.parametrize(
    ("environment", "blocks", "warns"),
    [
        (
            TWILIO | {"NUMBER_LOOKUP": "twilio"},
            {RiskSignal.SIM_SWAP},
            {RiskSignal.VOIP, RiskSignal.PUMPING},
        ),
        (VONAGE_JWT | {"NUMBER_LOOKUP": "vonage"}, {RiskSignal.SIM_SWAP}, {RiskSignal.VOIP}),
        (
            TWILIO
            | {
                "NUMBER_LOOKUP": "twilio",
                "NUMBER_LOOKUP_SIM_SWAP": "ignore",
                "NUMBER_LOOKUP_VOIP": "block",
            },
            {RiskSignal.VOIP},
            {RiskSignal.PUMPING},
        ),
    ],
)
def test_a_look_is_for_what_is_set(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    blocks: set[RiskSignal],
    warns: set[RiskSignal],
) -> None:
    settings = load(monkeypatch, environment)

    assert settings.signals(RiskReaction.BLOCK) == blocks
    assert settings.signals(RiskReaction.WARN) == warns


def test_one_service_can_look_while_another_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    account = {name: TWILIO[name] for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")}

    settings = load(
        monkeypatch, VONAGE | account | {"OTP_PROVIDER": "vonage", "NUMBER_LOOKUP": "twilio"}
    )

    assert settings.complete_providers() == (ProviderName.VONAGE,)


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), (NUMBER_KEY, 1), (f" {NUMBER_KEY} ,{NUMBER_KEY[::-1][1:]}=, ", 2)]
)
def test_number_keys_are_a_list_of_which_the_first_counts(
    monkeypatch: pytest.MonkeyPatch, text: str, count: int
) -> None:
    settings = load(monkeypatch, {"PHONE_ENCRYPTION_KEYS": text})

    assert len(settings.phone_encryption_key_list) == count
    assert settings.phone_encryption_key_list[:1] == (NUMBER_KEY,)[:count]
    assert NUMBER_KEY not in repr(settings)


def test_any_key_of_the_library_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [Fernet.generate_key().decode() for _ in range(100)]

    assert load(
        monkeypatch, {"PHONE_ENCRYPTION_KEYS": ",".join(keys)}
    ).phone_encryption_key_list == tuple(keys)


def test_events_are_signed_by_each_of_a_list_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [size for size in range(24, 65) for _ in range(10)]
    secrets = [new_secret(size) for size in sizes]

    settings = load(monkeypatch, EVENTS | {"WEBHOOK_SECRETS": " , ".join(secrets)})

    assert settings.webhook_secret_list == tuple(secrets)
    assert not [text for text in (secrets[0], "backend.example.com") if text in repr(settings)]


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "https://a.example/x?token=1", "http://[::1]:8000/events"]
)
def test_events_go_to_any_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert load(monkeypatch, EVENTS | {"WEBHOOK_URL": url}).webhook_url == url


def test_production_with_everything_set_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, PRODUCTION | TWILIO)

    assert settings.is_https
    assert settings.countries == {"US", "GB"}
    assert settings.own_origins == ("https://verify.example.com",)


def test_the_api_is_public_in_development_and_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(monkeypatch, {}).is_api_public
    assert not load(monkeypatch, PRODUCTION | TWILIO).is_api_public
    assert load(monkeypatch, {"API_PUBLIC": "true"}).is_api_public


def test_the_apis_keys_and_origins_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        {
            "PUBLIC_URL": "https://verify.example",
            "ALLOWED_ORIGINS": "https://a.example/ , http://b.example:3000",
            "API_KEYS": f"shop:{HASH}, bank:{HASH}",
        },
    )

    assert settings.api_origins == (
        "https://verify.example",
        "https://a.example",
        "http://b.example:3000",
    )
    assert settings.own_origins == ("https://verify.example",)
    assert settings.api_key_hashes == {"shop": HASH, "bank": HASH}


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


@pytest.fixture
def env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that is read; what it sets is undone."""
    file = tmp_path / ".env"
    file.write_text("DEFAULT_COUNTRY=GB\n")
    monkeypatch.setenv("DEFAULT_COUNTRY", "")
    monkeypatch.delenv("DEFAULT_COUNTRY")
    return file


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_production_refuses_a_file_that_others_can_read_or_change(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, mode: int
) -> None:
    load(monkeypatch, PRODUCTION | TWILIO)
    env_file.chmod(mode)

    with pytest.raises(SettingsError) as caught:
        load_settings(env_file)

    assert f"{env_file}: can be read or changed by others. chmod o-rwx {env_file}" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        (PRODUCTION | TWILIO, 0o600),
        (PRODUCTION | TWILIO, 0o640),
        (PRODUCTION | TWILIO | {"PYTHON_DOTENV_DISABLED": "1"}, 0o644),  # not read
        ({}, 0o644),
    ],
)
def test_other_files_are_taken(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, environment: dict[str, str], mode: int
) -> None:
    load(monkeypatch, environment)
    env_file.chmod(mode)

    assert load_settings(env_file).default_country in {"GB", "US"}


@pytest.mark.parametrize(
    ("environment", "channels"),
    [
        ({}, (Channel.SMS, Channel.VOICE)),
        ({"CHANNELS": ""}, (Channel.SMS, Channel.VOICE)),
        ({"CHANNELS": " voice , sms"}, (Channel.VOICE, Channel.SMS)),
        ({"CHANNELS": "whatsapp"}, (Channel.WHATSAPP,)),
        (TWILIO | {"CHANNELS": "sms,whatsapp"}, (Channel.SMS, Channel.WHATSAPP)),
        (
            VONAGE | {"CHANNELS": "sms,whatsapp", "VONAGE_WHATSAPP_FROM": "447700900321"},
            (Channel.SMS, Channel.WHATSAPP),
        ),
    ],
)
def test_channels_are_offered_in_the_order_of_their_setting(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], channels: tuple[Channel, ...]
) -> None:
    assert load(monkeypatch, environment).channel_list == channels


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


def test_several_workers_need_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "2")
    with pytest.raises(SettingsError, match="WORKERS: more than one needs REDIS_URL"):
        load_settings(None)
    monkeypatch.setenv("REDIS_URL", "http://canary.example")
    with pytest.raises(SettingsError, match=r"REDIS_URL: must be redis://") as raised:
        load_settings(None)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6379/0")

    assert load_settings(None).workers == 2
    assert "canary" not in str(raised.value)


def test_the_readme_lists_every_setting() -> None:
    table = Path("README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([A-Z_]{4,})`", table)) - {"PORT"}

    assert listed | {"PORT"} == NAMES - {limit.name for limit in POLICY}
    assert "`LIMIT_…`" in table
