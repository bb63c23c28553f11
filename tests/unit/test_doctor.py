"""`python -m otp_app doctor`: what it finds, and that it tells no secret."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet

from otp_app.__main__ import main
from otp_app.cli.doctor import accounts
from otp_app.config import Settings
from otp_app.identity.keyring import Keyring, Purpose
from otp_app.phone import PhoneNumber
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.verification.limits import POLICY
from tests import emulator as known
from tests.emulator import Answer, DropBefore, Emulator, Hang, Html, Redirect, Trickle
from tests.receiver import Backend, new_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.emulator import Fault
    from tests.unit.commands import Commands

TWILIO = {
    "TWILIO_ACCOUNT_SID": known.TWILIO_ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": known.TWILIO_AUTH_TOKEN,
    "TWILIO_VERIFY_SERVICE_SID": known.TWILIO_SERVICE_SID,
}
VONAGE = {"VONAGE_API_KEY": known.VONAGE_API_KEY, "VONAGE_API_SECRET": known.VONAGE_API_SECRET}
APPLICATION = {"VONAGE_APPLICATION_ID": known.VONAGE_APPLICATION_ID}
SECRET = {"SECRET_KEY": "canary-secret-canary-secret-canary-secret"}
PRODUCTION = TWILIO | {
    "APP_ENV": "production",
    "PUBLIC_URL": "https://verify.example.com",
    "ALLOWED_COUNTRIES": "US,GB",
    "TRUSTED_PROXY_HOPS": "1",
    "TWILIO_BASE_URL": "https://127.0.0.1:1",  # nobody listens there
}
OLD_KEY, NEW_KEY = (Fernet.generate_key().decode() for _ in range(2))
BOTH_KEYS = f"{NEW_KEY},{OLD_KEY}"
KEYED = Keyring(SECRET["SECRET_KEY"].encode()).subkey(Purpose.STORED_NUMBER)
ROOT = Path(__file__).parents[2]
SERVICE = {"code_length": 6}

Lines = dict[str, tuple[str, str]]


class Doctor:
    """Runs the command in a folder of its own, with a database that is migrated."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = ""

    def look(self, **environment: str) -> tuple[int, Lines]:
        """The exit code, and what it says of each check."""
        for name, value in (SECRET | environment).items():
            self._monkeypatch.setenv(name, value)
        code = main(["doctor"])
        self.out = self._capsys.readouterr().out
        rows = [line.split(maxsplit=1) for line in self.out.splitlines()]
        told = [(verdict, *rest.split("  ", 1)) for verdict, rest in rows]
        return code, {check.strip(): (verdict, text.strip()) for verdict, check, text in told}

    def verdict(self, check: str, **environment: str) -> str:
        return self.look(**environment)[1][check][0]


@pytest.fixture
def doctor(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    migrated: Path,
) -> Doctor:
    names = {name.upper() for name in Settings.model_fields} | {limit.name for limit in POLICY}
    for name in names:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / ".data"
    folder.mkdir(mode=0o700)
    (folder / "otp_app.db").touch(mode=0o600)
    shutil.copyfile(migrated, folder / "otp_app.db")
    monkeypatch.chdir(tmp_path)
    return Doctor(monkeypatch, capsys)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as services:
        yield services
        assert services.violations == []
        assert services.messages == []


def dated(seconds: float, status: int = 200) -> Answer:
    """Twilio's Service, from a machine whose clock is ahead of ours."""
    return Answer(status, SERVICE, {"Date": formatdate(time.time() + seconds, usegmt=True)})


def test_nothing_is_wrong_with_a_new_installation_in_development(doctor: Doctor) -> None:
    code, lines = doctor.look(ALLOWED_COUNTRIES="US")

    assert code == 0
    assert {verdict for verdict, _ in lines.values()} == {"ok"}


def test_it_changes_nothing(doctor: Doctor, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / ".data")

    code, lines = doctor.look(SECRET_KEY="")

    assert (code, lines["database"][0], lines["SECRET_KEY"][0]) == (0, "warn", "warn")
    assert list(tmp_path.iterdir()) == []


def test_settings_that_do_not_load_are_explained_without_their_values(doctor: Doctor) -> None:
    code, lines = doctor.look(PORT="canary", PUBLIC_URL="canary", VONAGE_API_KEY="canary!")

    assert (code, set(lines)) == (1, {"settings", ".env", "texts"})
    assert [line.split()[:3] for line in doctor.out.splitlines()[:3]] == [
        ["fail", "settings", "PORT:"],
        ["fail", "settings", "PUBLIC_URL:"],
        ["fail", "settings", "VONAGE_API_KEY:"],
    ]
    assert "canary" not in doctor.out


def test_a_limit_that_is_no_rate_is_explained(doctor: Doctor) -> None:
    code, lines = doctor.look(LIMIT_SEND_NUMBER="canary")

    assert (code, lines["settings"][0]) == (1, "fail")
    assert "LIMIT_SEND_NUMBER" in doctor.out
    assert "canary" not in doctor.out


def test_an_env_file_that_others_can_read_is_unsafe(doctor: Doctor, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.touch()
    file.chmod(0o600)
    assert doctor.verdict(".env") == "ok"

    file.chmod(0o644)

    assert doctor.verdict(".env") == "warn"
    assert doctor.verdict(".env", **PRODUCTION) == "fail"
    assert doctor.verdict(".env", PORT="canary") == "fail"


def test_an_env_file_in_git_is_found(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / ".env").touch(mode=0o600)
    assert doctor.look()[1][".env in git"] == ("ok", "no repository here")

    subprocess.run(["git", "init", "--quiet"], check=True)
    assert doctor.look()[1][".env in git"] == ("ok", "is not committed")

    subprocess.run(["git", "add", ".env"], check=True)
    assert doctor.verdict(".env in git") == "fail"


def test_without_git_it_says_that_it_could_not_look(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").touch(mode=0o600)
    monkeypatch.setenv("PATH", "")

    assert doctor.look()[1][".env in git"] == ("ok", "not checked: git is not installed")


def test_a_secret_that_the_app_made_must_be_private(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / ".data/secret_key").touch(mode=0o644)

    code, lines = doctor.look(SECRET_KEY="")

    assert code == 0
    assert [lines[name][0] for name in ("SECRET_KEY", ".data/secret_key")] == ["warn", "warn"]


def test_https_needs_trusted_proxies_and_http_has_none(doctor: Doctor) -> None:
    production = PRODUCTION | {"TRUSTED_PROXY_HOPS": "0"}

    assert doctor.verdict("TRUSTED_PROXY_HOPS", TRUSTED_PROXY_HOPS="1") == "warn"
    assert doctor.verdict("TRUSTED_PROXY_HOPS", **PRODUCTION) == "ok"
    assert doctor.verdict("TRUSTED_PROXY_HOPS", **production) == "fail"
    assert doctor.verdict("TRUSTED_PROXY_HOPS", APP_ENV="development") == "warn"


def test_an_address_that_no_browser_sends_is_refused(doctor: Doctor) -> None:
    assert doctor.verdict("PUBLIC_URL", PUBLIC_URL="https://vérify.example.com") == "fail"
    assert doctor.verdict("PUBLIC_URL", PUBLIC_URL="https://Verify.example.com:443") == "ok"


def test_production_is_not_opened_by_the_machines_own_name(doctor: Doctor) -> None:
    assert doctor.verdict("PUBLIC_URL", **PRODUCTION) == "ok"
    local = PRODUCTION | {"PUBLIC_URL": "https://localhost:3000"}
    assert doctor.verdict("PUBLIC_URL", **local) == "fail"


@pytest.mark.parametrize("name", ["REFLEX_CORS_ALLOWED_ORIGINS", "REFLEX_TRANSPORT"])
def test_reflex_may_not_allow_other_origins(doctor: Doctor, name: str) -> None:
    code, lines = doctor.look(**{name: "canary"})

    assert (code, lines["allowed origins"][0]) == (1, "fail")
    assert "canary" not in doctor.out


@pytest.mark.parametrize(
    ("served", "verdict"), [("", "warn"), ("GB", "warn"), ("US,UK", "fail"), ("US,GB", "ok")]
)
def test_the_countries_are_set_and_exist(doctor: Doctor, served: str, verdict: str) -> None:
    assert doctor.verdict("ALLOWED_COUNTRIES", ALLOWED_COUNTRIES=served) == verdict


def test_it_says_whether_delivery_reports_are_taken(doctor: Doctor) -> None:
    twilio = doctor.look(**TWILIO, TWILIO_BASE_URL="http://127.0.0.1:1")[1]["twilio webhooks"]
    assert twilio[0] == "ok"
    assert "TWILIO_EVENT_STREAMS is not set" in twilio[1]

    streams = {"PUBLIC_URL": "https://verify.example.com", "TWILIO_EVENT_STREAMS": "true"}
    twilio = doctor.look(**streams)[1]["twilio webhooks"]
    assert twilio[0] == "ok"
    assert "https://verify.example.com/webhooks/twilio" in twilio[1]


@pytest.mark.parametrize(
    ("color", "verdict", "what"),
    [
        ("", "ok", "is not set"),
        ("#1f4fd8", "ok", "has 5.85:1 at least; in the dark it is #5789ff"),
        ("#ffdd00", "warn", "has 1.19:1 and text needs 4.5:1, so text has the colour #7e6d00"),
    ],
)
def test_a_brand_that_cannot_be_read_is_a_warning(
    doctor: Doctor, color: str, verdict: str, what: str
) -> None:
    _, lines = doctor.look(BRAND_COLOR=color)

    assert lines["BRAND_COLOR"][0] == verdict
    assert what in lines["BRAND_COLOR"][1]


def test_a_brand_that_messages_do_not_go_by_is_a_warning(doctor: Doctor) -> None:
    vonage = {"VONAGE_API_KEY": "a", "VONAGE_API_SECRET": "b", "BRAND_NAME": "Acme"}
    vonage["VONAGE_BASE_URL"] = "http://127.0.0.1:1"

    assert doctor.verdict("BRAND_NAME", **vonage) == "warn"
    assert "BRAND_NAME" not in doctor.look(**vonage, VONAGE_BRAND_NAME="Acme")[1]


def test_words_of_the_teams_own_are_looked_at(doctor: Doctor, tmp_path: Path) -> None:
    assert doctor.verdict("texts") == "ok"
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "en.po").write_text('msgid "Continue"\nmsgstr "Go on"\n')
    assert doctor.look()[1]["texts"] == ("ok", "texts/ has en")
    (folder / "en.po").write_text('msgid "Contineu"\nmsgstr "Go on"\n')
    code, lines = doctor.look()
    assert (code, lines["texts"][0]) == (1, "fail")
    assert '"Contineu" is no sentence of ours' in lines["texts"][1]


def test_limits_looser_than_their_defaults_are_listed(doctor: Doctor) -> None:
    code, lines = doctor.look(
        LIMIT_SEND_ADDRESS="50/15 minutes",
        LIMIT_SEND_NUMBER="10/day",  # slower, and more of them at once
        LIMIT_SEND_PREFIX="5/hour",
    )

    assert code == 0
    assert {name for name in lines if name.startswith("LIMIT_")} == {
        "LIMIT_SEND_ADDRESS",
        "LIMIT_SEND_NUMBER",
    }
    assert lines["LIMIT_SEND_NUMBER"][1].startswith(
        "10 in 1 day: looser than its default, 5 in 1:00:00"
    )


def test_a_database_that_does_not_answer_is_a_failure(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / ".data/otp_app.db").write_text("not a database " * 100)

    code, lines = doctor.look()

    assert (code, lines["database"][0]) == (1, "fail")


def test_a_database_of_another_kind_is_a_failure(doctor: Doctor) -> None:
    code, lines = doctor.look(DATABASE_URL="mysql://user:canary@127.0.0.1/canary")

    assert (code, lines["database"][0]) == (1, "fail")
    assert "canary" not in doctor.out


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("DELETE FROM alembic_version", "warn"),
        ("UPDATE alembic_version SET version_num = '0001'", "warn"),
        ("UPDATE alembic_version SET version_num = '9999'", "fail"),
    ],
)
def test_migrations_are_looked_at_and_not_applied(
    doctor: Doctor, tmp_path: Path, statement: str, verdict: str
) -> None:
    def execute(statement: str) -> list[tuple[str]]:
        connection = sqlite3.connect(tmp_path / ".data/otp_app.db")
        with connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    execute(statement)
    before = execute("SELECT * FROM alembic_version")

    assert doctor.verdict("migrations") == verdict
    assert execute("SELECT * FROM alembic_version") == before


def test_a_database_that_others_can_read_is_unsafe(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / ".data").chmod(0o755)
    (tmp_path / ".data/otp_app.db").chmod(0o644)

    lines = doctor.look()[1]

    assert [lines[f"database {name}"][0] for name in ("file", "folder")] == ["warn", "warn"]
    assert doctor.verdict("database file", **PRODUCTION) == "fail"


def test_numbers_in_the_clear_are_a_warning_in_production(doctor: Doctor) -> None:
    assert doctor.verdict("PHONE_ENCRYPTION_KEYS") == "ok"
    assert doctor.verdict("PHONE_ENCRYPTION_KEYS", **PRODUCTION) == "warn"
    assert (
        doctor.verdict("PHONE_ENCRYPTION_KEYS", PHONE_ENCRYPTION_KEYS=NEW_KEY, **PRODUCTION) == "ok"
    )
    assert NEW_KEY not in doctor.out


@pytest.mark.parametrize(
    ("stored", "found", "verdict", "text"),
    [
        (PhoneEncryption(KEYED), {}, "ok", "all 1 are"),
        (PhoneEncryption(KEYED, [NEW_KEY]), {"PHONE_ENCRYPTION_KEYS": NEW_KEY}, "ok", "all 1 are"),
        (
            PhoneEncryption(KEYED),
            {"PHONE_ENCRYPTION_KEYS": NEW_KEY},
            "warn",
            "1 are not encrypted",
        ),
        (
            PhoneEncryption(KEYED, [OLD_KEY]),
            {"PHONE_ENCRYPTION_KEYS": BOTH_KEYS},
            "warn",
            "is not the first",
        ),
        (PhoneEncryption(b"another"), {}, "warn", "SECRET_KEY was changed"),
        (
            PhoneEncryption(KEYED, [OLD_KEY]),
            {"PHONE_ENCRYPTION_KEYS": NEW_KEY},
            "fail",
            "1 cannot be decrypted",
        ),
        (PhoneEncryption(KEYED, [OLD_KEY]), {}, "fail", "1 cannot be decrypted"),
        (PhoneEncryption(KEYED), {"SECRET_KEY": ""}, "ok", "not checked"),
    ],
)
def test_how_the_numbers_are_kept_is_told(
    doctor: Doctor,
    tmp_path: Path,
    stored: PhoneEncryption,
    found: dict[str, str],
    verdict: str,
    text: str,
) -> None:
    phone = PhoneNumber("+14155552671")
    connection = sqlite3.connect(tmp_path / ".data/otp_app.db")
    with connection:
        row = (stored.encrypt(phone), stored.search_key(phone), "2026-03-01 12:00:00.000000")
        columns = "phone_number, phone_key, created_at"
        connection.execute(f"INSERT INTO users ({columns}) VALUES (?, ?, ?)", row)
    connection.close()

    code, lines = doctor.look(**found)

    assert lines["numbers"][0] == verdict
    assert text in lines["numbers"][1]
    assert code == int(verdict == "fail")
    assert not [
        secret for secret in (OLD_KEY, NEW_KEY, phone.digits, *row[:2]) if secret in doctor.out
    ]


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [(Answer(200), "ok"), (Answer(405), "ok"), (DropBefore(), "fail")],
)
def test_the_backend_is_asked_whether_it_is_there(
    doctor: Doctor, fault: Fault, verdict: str
) -> None:
    secret = new_secret()
    with Backend(fault, fault) as backend:
        code, lines = doctor.look(WEBHOOK_URL=backend.url, WEBHOOK_SECRETS=secret)

    assert (code, lines["WEBHOOK_URL"][0]) == (int(verdict == "fail"), verdict)
    assert {(post.method, post.body) for post in backend.posts} == {("HEAD", b"")}
    assert "authorization" not in backend.posts[0].headers
    assert not [text for text in (backend.url, secret) if text in doctor.out]


def test_an_old_secret_or_one_for_nobody_is_a_warning(doctor: Doctor) -> None:
    one, two = new_secret(), f"{new_secret()},{new_secret()}"
    with Backend() as backend:
        assert doctor.verdict("events") == "ok"
        assert doctor.verdict("events", WEBHOOK_SECRETS=one) == "warn"
        there = {"WEBHOOK_URL": backend.url}
        assert doctor.verdict("WEBHOOK_SECRETS", WEBHOOK_SECRETS=one, **there) == "ok"
        assert doctor.verdict("WEBHOOK_SECRETS", WEBHOOK_SECRETS=two, **there) == "warn"


def test_dead_events_are_counted(doctor: Doctor, tmp_path: Path) -> None:
    assert doctor.verdict("dead letters") == "ok"
    connection = sqlite3.connect(tmp_path / ".data/otp_app.db")
    with connection:
        values = "('gone', '2026-03-01 12:00:00', 1, 'HTTP 410', '2026-03-01 12:00:00')"
        columns = "verification, at, attempts, failure, died_at"
        connection.execute(f"INSERT INTO dead_events ({columns}) VALUES {values}")
    connection.close()

    assert doctor.look()[1]["dead letters"][1].startswith("1 were never accepted")
    assert doctor.verdict("dead letters") == "warn"


def test_right_credentials_are_taken(doctor: Doctor, emulator: Emulator) -> None:
    twilio = doctor.look(TWILIO_BASE_URL=emulator.url, **TWILIO)
    both = doctor.look(VONAGE_BASE_URL=emulator.url, OTP_PROVIDER="vonage", **VONAGE)

    assert (twilio[0], twilio[1]["twilio"][0]) == (0, "ok")
    assert (both[0], both[1]["twilio"][0], both[1]["vonage"][0]) == (0, "ok", "ok")
    assert [request.operation for request in emulator.requests] == [
        "twilio.service",
        "twilio.service",
        "vonage.cancel",
    ]


def test_an_applications_key_is_taken(doctor: Doctor, emulator: Emulator) -> None:
    key = {"VONAGE_PRIVATE_KEY": known.vonage_private_key()}

    code, lines = doctor.look(VONAGE_BASE_URL=emulator.url, **APPLICATION, **key)

    assert (code, lines["vonage"][0]) == (0, "ok")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (TWILIO | {"TWILIO_AUTH_TOKEN": "canary"}, "refuses the credentials"),
        (TWILIO | {"TWILIO_VERIFY_SERVICE_SID": "VA" + "c" * 32}, "has no such Service"),
        (VONAGE | {"VONAGE_API_SECRET": "canary"}, "refuses the credentials"),
        (APPLICATION | {"VONAGE_PRIVATE_KEY": "canary"}, "VONAGE_PRIVATE_KEY"),
        (APPLICATION | {"VONAGE_PRIVATE_KEY": "-----BEGIN canary"}, "VONAGE_PRIVATE_KEY"),
        (VONAGE | {"OTP_LOCALE": "xx"}, "OTP_LOCALE"),
    ],
)
def test_wrong_credentials_are_a_failure(
    doctor: Doctor, emulator: Emulator, environment: dict[str, str], named: str
) -> None:
    name = "twilio" if environment.keys() & TWILIO.keys() else "vonage"
    urls = {"TWILIO_BASE_URL": emulator.url, "VONAGE_BASE_URL": emulator.url}

    code, lines = doctor.look(**environment, **urls)

    assert (code, lines[name][0]) == (1, "fail")
    assert named in lines[name][1]
    assert not any(value in doctor.out for value in environment.values() if len(value) > 2)


def test_codes_that_are_too_short_are_a_failure(doctor: Doctor, emulator: Emulator) -> None:
    emulator.twilio.code_length = 4

    assert doctor.verdict("twilio", TWILIO_BASE_URL=emulator.url, **TWILIO) == "fail"


@pytest.mark.parametrize(
    ("channels", "sender", "verdict"),
    [
        ("sms,whatsapp", None, "fail"),
        ("sms,whatsapp", "447700900321", "ok"),
        ("sms,voice", None, "ok"),
    ],
)
def test_whatsapp_needs_a_sender_of_the_service(
    doctor: Doctor, emulator: Emulator, channels: str, sender: str | None, verdict: str
) -> None:
    emulator.twilio.whatsapp_sender = sender

    settings = {"CHANNELS": channels, "TWILIO_BASE_URL": emulator.url, **TWILIO}
    assert doctor.verdict("twilio", **settings) == verdict


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Html(503), "warn"),
        (Answer(429), "warn"),
        (Answer(402, {}), "fail"),
        (Answer(404, "<h1>nothing here</h1>"), "fail"),
        (Answer(200, {"code_length": "canary"}), "fail"),
        (Redirect("http://127.0.0.1:1/canary"), "fail"),
        (DropBefore(), "fail"),
    ],
)
def test_an_answer_that_is_none_says_so(
    doctor: Doctor, emulator: Emulator, fault: Fault, verdict: str
) -> None:
    emulator.fail("twilio.service", fault, times=None)
    emulator.fail("vonage.cancel", fault, times=None)
    urls = {"TWILIO_BASE_URL": emulator.url, "VONAGE_BASE_URL": emulator.url}

    _, lines = doctor.look(OTP_PROVIDER="twilio", **TWILIO, **VONAGE, **urls)

    assert [lines[name][0] for name in ("twilio", "vonage")] == [verdict, verdict]
    assert "canary" not in doctor.out


def test_a_provider_that_is_down_is_a_failure(doctor: Doctor, emulator: Emulator) -> None:
    emulator.stop()

    code, lines = doctor.look(TWILIO_BASE_URL=emulator.url, **TWILIO)

    assert (code, lines["twilio"][0]) == (1, "fail")
    assert "clock" not in lines


@pytest.mark.parametrize("fault", [Hang(60), Trickle(60)])
def test_a_provider_that_is_slow_is_not_waited_for(
    doctor: Doctor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(accounts, "PROBE_TIMEOUT", 0.2)
    emulator.fail("twilio.service", fault)

    assert doctor.verdict("twilio", TWILIO_BASE_URL=emulator.url, **TWILIO) == "fail"


@pytest.mark.parametrize(
    ("seconds", "verdict", "named"),
    [
        (0, "ok", "agrees"),
        (-30, "warn", "s ahead of"),
        (+30, "warn", "s behind"),
        (+90, "fail", "s behind"),
        (-90, "fail", "s ahead of"),
    ],
)
def test_the_clock_is_compared_with_the_providers(
    doctor: Doctor, emulator: Emulator, seconds: float, verdict: str, named: str
) -> None:
    emulator.fail("twilio.service", dated(seconds))

    code, lines = doctor.look(TWILIO_BASE_URL=emulator.url, **TWILIO)

    assert (code, lines["clock"][0]) == (int(verdict == "fail"), verdict)
    assert named in lines["clock"][1]


def test_the_clock_is_compared_although_the_credentials_are_refused(
    doctor: Doctor, emulator: Emulator
) -> None:
    """A token that is signed at the wrong time is refused as well."""
    emulator.fail("vonage.cancel", dated(3600, status=401))

    lines = doctor.look(VONAGE_BASE_URL=emulator.url, **VONAGE)[1]

    assert (lines["vonage"][0], lines["clock"][0]) == ("fail", "fail")


@pytest.mark.parametrize("date", ["", "canary"])
def test_a_provider_that_tells_no_time_is_a_warning(
    doctor: Doctor, emulator: Emulator, date: str
) -> None:
    emulator.fail("twilio.service", Answer(200, SERVICE, {"Date": date}))

    assert doctor.verdict("clock", TWILIO_BASE_URL=emulator.url, **TWILIO) == "warn"


def test_the_lookups_are_asked_what_costs_nothing(doctor: Doctor, emulator: Emulator) -> None:
    urls = {"TWILIO_BASE_URL": emulator.url, "TWILIO_LOOKUPS_BASE_URL": emulator.url}

    code, lines = doctor.look(NUMBER_LOOKUP="twilio", **TWILIO, **urls)

    assert (code, lines["twilio_lookups"][0]) == (0, "ok")
    assert [request.query for request in emulator.requests if "look" in request.operation] == [{}]


@pytest.mark.parametrize(
    ("fault", "verdict", "named"),
    [
        (Answer(401, {}), "fail", "TWILIO_…"),
        (Html(503), "warn", "503"),
        (Html(200), "fail", "TWILIO_LOOKUPS_BASE_URL"),
        (DropBefore(), "fail", "TWILIO_LOOKUPS_BASE_URL"),
    ],
)
def test_lookups_that_do_not_answer_say_so(
    doctor: Doctor, emulator: Emulator, fault: Fault, verdict: str, named: str
) -> None:
    emulator.fail("twilio.look", fault, times=None)
    urls = {"TWILIO_BASE_URL": emulator.url, "TWILIO_LOOKUPS_BASE_URL": emulator.url}

    _, lines = doctor.look(NUMBER_LOOKUP="twilio", **TWILIO, **urls)

    assert lines["twilio_lookups"][0] == verdict
    assert named in lines["twilio_lookups"][1]


def test_vonages_insights_are_not_asked_as_they_cost(doctor: Doctor, emulator: Emulator) -> None:
    key = {"VONAGE_PRIVATE_KEY": known.vonage_private_key()}
    urls = {"VONAGE_BASE_URL": emulator.url, "VONAGE_INSIGHTS_BASE_URL": emulator.url}

    code, lines = doctor.look(NUMBER_LOOKUP="vonage", **APPLICATION, **key, **urls)

    assert (code, lines["vonage_insights"][0]) == (0, "ok")
    assert emulator.count("vonage.look") == 0


BARE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


def test_the_command_line_tells_by_its_exit_code(commands: Commands, tmp_path: Path) -> None:
    healthy = commands.run("doctor", environment=BARE | SECRET, folder=tmp_path)
    (tmp_path / ".env").write_text("PORT=canary\n")
    sick = commands.run("doctor", environment=BARE, folder=tmp_path)
    wrong = commands.run("physician", environment=BARE, folder=tmp_path)

    assert (healthy.code, sick.code, wrong.code) == (0, 1, 2)
    assert "canary" not in healthy.stdout + sick.stdout
    assert [healthy.stderr, sick.stderr, wrong.stdout] == ["", "", ""]
    assert "PORT" in sick.stdout


def test_the_framework_is_not_loaded(commands: Commands) -> None:
    """Loading the framework takes longer than all of the commands' own work."""
    assert "otp_app.cli.doctor" in commands.of_commands
    assert "reflex" not in commands.of_commands
