"""The invariants hold for all actions of people, in any order.

The tests judge by the provider's log, never by our tables. Every run tries the same sequences.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from starlette.testclient import TestClient

from otp_app import services
from otp_app.errors import ProviderNotReached, ProviderUnavailable
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.store import SqlStore
from otp_app.storage.tables import Stage, audit, sessions, sha256_hex, verifications
from otp_app.verification.allowances import PAID_BY_GUESS, PAID_BY_MESSAGE, Call
from otp_app.verification.audit import Outcome
from otp_app.verification.background import Sweeper
from otp_app.verification.budget import CANCELS
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY, UNCONFIRMED, Action, Scope, limit_uses
from otp_app.verification.models import JOINED_ATTEMPTS, OPEN, Channel, Policy, SecondStart
from otp_app.verification.risk import RiskScreening
from otp_app.verification.service import VerificationService
from otp_app.verification.sessions import Sessions
from otp_app.web.sessions import NOT_FINISHED
from tests.backend.client import STATE, Socket
from tests.backend.conftest import ORIGIN, Browser
from tests.database import connected
from tests.emulator import Clock
from tests.fakes import SharingOracle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy import Row, Select

    from otp_app.verification.limits import LimitUse
    from otp_app.verification.models import Flow, Reference

T = TypeVar("T")

NUMBERS = [PhoneNumber("+447400123456"), PhoneNumber("+447400223457"), PhoneNumber("+12125550158")]
SHORT = [1, 1, 31, 61]  # seconds; each is just longer than a wait or a window
LONG = [121, 301, 601, 901, 3601, 86_401]
BUTTONS: list[tuple[str, dict[str, Any]]] = [
    ("resend", {"form": {}}),
    ("resend", {"form": {"channel": "voice"}}),
    ("resend", {"form": {"channel": "whatsapp"}}),
    ("change_number", {}),
    ("start_again", {}),
]
VIEWS = ["show_phone", "show_code", "show_verified"]
PAGES = ["/", "/code", "/verified", "/request-otp?number=%2B447400123456", "/verify-otp?code=1"]
LIFETIME = Policy().lifetime
LISTS = (Scope.SESSION_NUMBERS, Scope.ADDRESS_NUMBERS)  # windows start at a number's first use
SOME = (
    *LISTS,
    Scope.UNPROVED_CLIENTS,
    Scope.COUNTRY_CONFIRMED,
    *UNCONFIRMED,
)  # these limits apply to some numbers only
SECRET = b"secret of the tests"
TABS = count()
REACHED = {Outcome.OK, Outcome.REJECTED, Outcome.UNKNOWN}  # these calls are in the provider's log
QUARTER = timedelta(minutes=15)


def most_from_an_address(action: Action) -> int:
    """Return the most messages or guesses of an address in any `QUARTER`, by the strictest limit.

    A limit allows its amount in each of the windows that a quarter of an hour overlaps.
    """
    limits = [one for one in POLICY if one.action is action and one.scope is Scope.ADDRESS]
    return min(limit.amount * ceil(QUARTER / limit.window) for limit in limits)


MOST_CALLS: Counter[Call] = Counter()
"""N: the most calls that one address can cause in any `QUARTER`, by kind.

Each message allows the calls of `PAID_BY_MESSAGE`, each guess those of `PAID_BY_GUESS`.
"""
MOST_CALLS.update(PAID_BY_MESSAGE * most_from_an_address(Action.SEND))
MOST_CALLS.update(PAID_BY_GUESS * most_from_an_address(Action.CHECK))

_TYPED = re.compile(r' value="[^"]*"')  # the form repeats the person's own input

people = st.integers(0, 2)
numbers = st.sampled_from(NUMBERS)
channels = st.sampled_from([*Channel])
ways = st.sampled_from(["form", "page"])
guesses = st.sampled_from(["right", "right", "old", "another's", "wrong", "wrong", "no code"])


@dataclass
class Person:
    """A browser at an address, with a tab that stays open until the browser's cookie changes."""

    browser: Browser
    client: Client
    tab: Socket
    leaves: ExitStack
    """The stack that closes the tab's socket."""

    shown: dict[str, Any] = field(default_factory=dict)
    proved: set[str] = field(default_factory=set)
    """The last digits of the numbers that the provider approved for this browser."""
    flows: set[Flow] = field(default_factory=set)
    """All flows that this browser has had."""


class AnyOrder(RuleBasedStateMachine):
    """Three people, three numbers, one server, one database, and a provider without limits."""

    backend: TestClient
    template: Path
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.judged = self.judged_calls = 0
        self.subjects: list[dict[str, str]] = []
        self.unproved: list[bool] = []
        self.said: list[str] = []
        self.claims: list[tuple[Person, str]] = []

    @initialize()
    def begin(self) -> None:
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.clock = Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))
        self.oracle = SharingOracle(clock=self.clock)
        self.real = services.current()
        self.stack.callback(services.install, self.real)
        self.working = self._service(f"sqlite:///{shutil.copy(self.template, folder)}")
        self.broken = self._service(f"sqlite:///{folder}/empty.db")
        self._install(self.working)
        self.people = [self._person(place) for place in range(3)]

    def teardown(self) -> None:
        try:
            self._all_is_in_the_audit_once()
        finally:
            self.stack.close()

    @rule(person=people, number=numbers, channel=channels, way=ways)
    def ask(self, person: int, number: PhoneNumber, channel: Channel, way: str) -> None:
        with self._acting(person, most=1) as me:
            if way == "form":
                form = {"number": number.e164, "channel": str(channel)}
                self._post(me, "/request-otp", form)
            else:
                form = {"phone": number.e164, "country": "GB", "channel": str(channel)}
                self._press(me, "request_code", {"form": form})

    @rule(person=people, kinds=st.lists(guesses, min_size=1, max_size=7), way=ways)
    def guess(self, person: int, kinds: list[str], way: str) -> None:
        with self._acting(person, most=0) as me:
            for kind in kinds:
                code = self._code(me, kind)
                if way == "form":
                    self._post(me, "/verify-otp", {"code": code})
                else:
                    self._press(me, "check_code", {"form": {"code": code}})

    @rule(person=people, button=st.sampled_from(BUTTONS), times=st.sampled_from([1, 1, 1, 7]))
    def press(self, person: int, button: tuple[str, dict[str, Any]], times: int) -> None:
        for place in range(times):
            self.clock.tick(min(place, 1))
            with self._acting(person, most=1) as me:
                self._press(me, *button)

    @rule(person=people, path=st.sampled_from(["/finish", "/finish", "/sign-out"]))
    def finish(self, person: int, path: str) -> None:
        with self._acting(person, most=0) as me:
            if self._post(me, path, {"proof": me.shown.get("proof", "")}) == NOT_FINISHED:
                self._post(me, "/start-again", {})  # the page offers this button
            self._press(me, "show_verified", {})

    @rule(person=people, view=st.sampled_from(VIEWS), page=st.sampled_from(PAGES))
    def look(self, person: int, view: str, page: str) -> None:
        with self._acting(person, most=0) as me:
            self._press(me, view, {})
            answer = me.browser.client.get(page, headers={"cookie": me.browser.cookie})
            self.said.append(answer.text)

    @rule(person=people, number=numbers, times=st.integers(2, 6), seconds=st.sampled_from(SHORT))
    def keep_asking(self, person: int, number: PhoneNumber, times: int, seconds: int) -> None:
        for _ in range(times):
            self.ask(person, number, Channel.SMS, "form")
            self.clock.tick(seconds)

    @rule(person=people, number=numbers, kinds=st.lists(guesses, min_size=5, max_size=7), way=ways)
    def ask_and_guess(self, person: int, number: PhoneNumber, kinds: list[str], way: str) -> None:
        self.ask(person, number, Channel.SMS, way)
        self.guess(person, kinds, way)

    @rule(seconds=st.sampled_from([*(3 * SHORT), *LONG]))
    def later(self, seconds: int) -> None:
        self.clock.tick(seconds)

    @rule(error=st.sampled_from([ProviderNotReached, ProviderUnavailable]))
    def provider_fails(self, error: type[ProviderUnavailable]) -> None:
        self.oracle.failures = [error()]

    @rule()
    def an_answer_is_lost(self) -> None:
        self.oracle.loses_answers = True

    @rule(is_busy=st.booleans(), says_so=st.booleans(), first=people, second=people, number=numbers)
    def provider_refuses_seconds(
        self, is_busy: bool, says_so: bool, first: int, second: int, number: PhoneNumber
    ) -> None:
        """With *says_so* our store knows that the number is busy, otherwise only the provider."""
        self.oracle.is_busy = is_busy
        if is_busy and says_so:
            self.oracle.second_start = SecondStart.REFUSED
        elif self.oracle.second_start is SecondStart.REFUSED:
            self.oracle.second_start = SecondStart.OWN_CODE
        if is_busy:
            self.ask(first, number, Channel.SMS, "form")
            self.clock.tick(31)
            self.keep_asking(second, number, times=7, seconds=2)

    @rule(shares=st.booleans())
    def provider_shares_codes(self, shares: bool) -> None:
        self.oracle.second_start = SecondStart.SAME_CODE if shares else SecondStart.OWN_CODE

    @rule(first=people, second=people, number=numbers, times=st.integers(1, 6))
    def guess_at_a_shared_code(
        self, first: int, second: int, number: PhoneNumber, times: int
    ) -> None:
        self.provider_shares_codes(shares=True)
        self.ask(first, number, Channel.SMS, "form")
        self.clock.tick(31)
        self.ask_and_guess(second, number, ["wrong"] * times, "form")
        self.guess(first, ["right"], "form")

    @rule(owner=people, other=people, number=numbers)
    def use_up_the_messages_of_an_owner(self, owner: int, other: int, number: PhoneNumber) -> None:
        self.ask_and_guess(owner, number, ["right"], "form")
        self.clock.tick(3601)
        self.keep_asking(other, number, times=4, seconds=121)

    @rule(person=people, number=numbers, kind=guesses)
    def without_a_database(self, person: int, number: PhoneNumber, kind: str) -> None:
        """I7: no store, no message and no approval."""
        before = len(self.oracle.log)
        self._install(self.broken)
        self.ask(person, number, Channel.SMS, "form")
        self.guess(person, [kind], "page")
        self._install(self.working)
        assert len(self.oracle.log) == before
        self.seen["outages"] += 1

    @rule()
    def restart(self) -> None:
        """A restart loses everything in memory, the states of tabs included."""
        self.working = replace(self.working, _turns=type(self.working._turns)())
        self._install(self.working)

    @rule()
    def sweep(self) -> None:
        service = self.working
        self.oracle.by = None
        self._call(Sweeper(service.store, service.limiter, service.providers, service.now).sweep)

    @invariant()
    def everything_holds(self) -> None:
        self._note_what_is_new()
        self._no_limit_was_passed()
        self._no_call_left_unpaid()
        self._guesses_are_for_the_browser_that_asked_in_time_and_few()
        self._every_browser_can_use_the_guesses_that_it_keeps()
        self._the_owner_of_a_number_keeps_a_share_of_its_messages()
        self._only_the_providers_yes_verifies()
        self._nothing_leaks()
        self.judged = len(self.oracle.log)
        self.judged_calls = len(self.oracle.called)

    def _note_what_is_new(self) -> None:
        """Add each new entry of the log to `subjects` and `unproved`, for all later comparisons."""
        for place in range(self.judged, len(self.oracle.log)):
            asked = self.oracle.log[place]
            uses = limit_uses(POLICY, asked.action, asked.by, asked.to)
            self.subjects.append({use.limit.name: use.subject for use in uses})
            self.unproved.append(self._is_unproved(place))

    def _no_limit_was_passed(self) -> None:
        """I1, I3, I6: no window of any limit holds more than the limit."""
        for place in range(self.judged, len(self.oracle.log)):
            asked = self.oracle.log[place]
            for spending in limit_uses(POLICY, asked.action, asked.by, asked.to):
                if spending.limit.scope not in SOME:
                    used = self._used(spending, place)
                    assert used <= spending.limit.amount, (spending.limit.name, asked)

    def _no_call_left_unpaid(self) -> None:
        """I9: an address causes no more than N calls in any 15 minutes, for any responses.

        The sweeper may make `CANCELS` calls for each message.
        """
        for place in range(self.judged_calls, len(self.oracle.called)):
            last = self.oracle.called[place]
            if last.by:
                earlier = self.oracle.called[: place + 1]
                its = Counter(
                    one.call
                    for one in earlier
                    if one.by and one.by.address == last.by.address and one.at > last.at - QUARTER
                )
                assert its <= MOST_CALLS, (last, its)
                self.seen[f"all {last.call} calls"] += its[last.call] == MOST_CALLS[last.call]
        kinds = Counter(one.call for one in self.oracle.called if one.by is None)
        assert set(kinds) <= {Call.CANCEL}
        assert kinds[Call.CANCEL] <= CANCELS * self.oracle.calls.count(Call.SEND)

    def _guesses_are_for_the_browser_that_asked_in_time_and_few(self) -> None:
        """I3, I4: verifications are identified by the provider's reference."""
        for place in range(self.judged, len(self.oracle.log)):
            check = self.oracle.log[place]
            if check.action is Action.CHECK:
                earlier = [a for a in self.oracle.log[:place] if a.reference == check.reference]
                asked = [one.by.flow for one in earlier if one.action is Action.SEND]
                assert check.by.flow in asked
                assert earlier[0].to == check.to
                assert check.at < earlier[0].at + LIFETIME
                is_alone = len(set(asked)) == 1
                assert not any(one.is_yes for one in earlier if is_alone or check.is_yes)
                before = sum(one.action is Action.CHECK for one in earlier)
                assert before < Policy().max_attempts

    def _every_browser_can_use_the_guesses_that_it_keeps(self) -> None:
        """I10: the provider accepts as many guesses as the flows that share a code have left."""
        kept: Counter[Reference] = Counter()
        waiting: Counter[Reference] = Counter()
        for row in self._read(self._waiting())[0]:
            of_first = max(0, min(row.attempts_left, row.attempts - JOINED_ATTEMPTS - row.guesses))
            kept[row.reference] += row.attempts_left if row.joined else of_first
            waiting[row.reference] += 1
        self.seen["shared codes"] += sum(flows > 1 for flows in waiting.values())
        for reference, guesses in kept.items():
            left = Policy().max_attempts - self.oracle.guesses(reference)
            assert guesses <= left, (reference, guesses, left)

    def _the_owner_of_a_number_keeps_a_share_of_its_messages(self) -> None:
        """I11: browsers that never confirmed a confirmed number get a share of its messages only.

        The owner's browsers can use the rest.
        """
        for place in range(self.judged, len(self.oracle.log)):
            asked = self.oracle.log[place]
            for limit in POLICY:
                if limit.scope is Scope.UNPROVED_CLIENTS and self.unproved[place]:
                    start = asked.at - limit.window
                    used = sum(
                        one.to == asked.to and one.at > start and is_unproved
                        for one, is_unproved in zip(
                            self.oracle.log[: place + 1], self.unproved, strict=False
                        )
                    )
                    assert used <= limit.amount, (limit.name, asked)
                    self.seen[f"all of {limit.name}"] += used == limit.amount

    def _is_unproved(self, place: int) -> bool:
        """Return True for a message to a confirmed number by a browser that never confirmed it."""
        asked = self.oracle.log[place]
        flows = next(person.flows for person in self.people if asked.by.flow in person.flows)
        owners = [
            one.by.flow for one in self.oracle.log[:place] if one.is_yes and one.to == asked.to
        ]
        return asked.action is Action.SEND and bool(owners) and not flows & set(owners)

    def _only_the_providers_yes_verifies(self) -> None:
        """I4: a page confirms a number only if the provider approved it for the page's browser."""
        for person, ending in self.claims:
            assert ending in person.proved
        self.claims.clear()

    def _nothing_leaks(self) -> None:
        """I5."""
        secrets = [*self._references(), *self.oracle.codes.values()]
        secrets += [number.e164[1:] for number in NUMBERS]
        for text in self.said:
            plain = _TYPED.sub("", text)
            assert not [secret for secret in secrets if secret in plain]
        self.said.clear()

    def _all_is_in_the_audit_once(self) -> None:
        """I8: every call has one result, and the provider's log has each call that reached it."""
        [rows] = self._read(select(audit))
        asked = [row.attempt for row in rows if row.stage is Stage.ASKED]
        answered = [row.attempt for row in rows if row.stage is Stage.ANSWERED]
        assert len(set(asked)) == len(asked)
        assert sorted(asked) == sorted(answered)
        heard = Counter(row.event for row in rows if row.outcome in REACHED)
        assert heard == Counter(one.action for one in self.oracle.log)

    def _waiting(self) -> Select[Any]:
        """Return a query of all open verifications that have a reference."""
        its = verifications.c
        is_open = (its.status.in_(sorted(OPEN)), its.expires_at > self.clock.now())
        return select(verifications).where(*is_open, its.reference.is_not(None))

    def _sessions(self) -> Select[Any]:
        """Return a query of all valid sessions, with their flow and number."""
        columns = (sessions.c.token, verifications.c.flow, verifications.c.phone_key)
        same = sessions.c.verification == verifications.c.id
        return select(*columns).where(same, sessions.c.ends_at > self.clock.now())

    def _read(self, *queries: Select[Any]) -> list[Sequence[Row[Any]]]:
        """Return the rows of each query. All queries share one connection."""
        store = self.working.store
        assert isinstance(store, SqlStore)

        async def read() -> list[Sequence[Row[Any]]]:
            async with connected(store.engine) as connection:
                return [(await connection.execute(query)).all() for query in queries]

        return self._call(read)

    def _acting(self, person: int, most: int) -> Acting:
        return Acting(self, self.people[person], most)

    def _post(self, me: Person, path: str, form: dict[str, str]) -> int:
        headers = {"cookie": me.browser.cookie}
        answer = me.browser.client.post(path, data=form, headers=headers, follow_redirects=False)
        assert answer.status_code in {200, 303, 404, 409, 410, 422, 429, 502, 503, 504}
        self.seen[f"{path} {answer.status_code}"] += 1
        self.said.append(answer.text)
        if "is confirmed" in answer.text:
            [ending] = [number.ending for number in NUMBERS if number.ending in answer.text]
            self.claims.append((me, ending))
        if "set-cookie" in answer.headers:  # a browser then loads the page of the redirect
            self._give(me, me.browser.after(answer))
        return answer.status_code

    def _give(self, me: Person, browser: Browser) -> None:
        flow = self.real.flows.read(browser.cookie)
        assert flow is not None
        me.browser, me.client, me.shown = browser, replace(me.client, flow=flow), {}
        me.flows.add(flow)
        me.leaves.close()
        me.tab = me.leaves.enter_context(browser.socket(token=f"tab-{next(TABS)}"))
        self.oracle.by = me.client

    def _press(self, me: Person, handler: str, payload: object) -> None:
        frames = me.tab.send(f"{STATE}.{handler}", payload)
        self.said += frames
        me.shown |= me.tab.state(frames)
        self.seen[f"{handler} {me.shown.get('step')}"] += 1
        if proved := me.shown.get("proved"):
            self.claims.append((me, proved))
            self.seen["sessions"] += 1
        if me.shown.get("step") == "verified":
            self.claims.append((me, me.shown["ending"]))

    def _code(self, me: Person, kind: str) -> str:
        mine = [a.reference for a in self.oracle.log if a.by.flow == me.client.flow]
        others = [a.reference for a in self.oracle.log if a.by.flow != me.client.flow]
        match kind:
            case "right" if mine:
                return self.oracle.codes[mine[-1]]
            case "old" if mine:
                return self.oracle.codes[mine[0]]
            case "another's" if others:
                return self.oracle.codes[others[-1]]
            case "no code":
                return "12a"
            case _:
                return "000000"

    def _used(self, spending: LimitUse, place: int) -> int:
        """Return the use of the limit up to entry *place* of the log, that entry included."""
        limit = spending.limit
        start = self.oracle.log[place].at - limit.window
        used = 0
        for asked, subjects in zip(self.oracle.log[: place + 1], self.subjects, strict=False):
            if asked.at > start and subjects.get(limit.name) == spending.subject:
                used = 0 if limit.scope is Scope.CONSECUTIVE_FAILURES and asked.is_yes else used + 1
        return used

    def _references(self) -> set[str]:
        return {asked.reference for asked in self.oracle.log}

    def _service(self, url: str) -> VerificationService:
        engine = open_engine(url)
        self.stack.callback(self._call, engine.dispose)
        store, limiter = SqlStore(engine, PhoneEncryption(SECRET)), SqlLimiter(engine, SECRET)
        providers = {self.oracle.name: self.oracle}
        return VerificationService(
            store,
            limiter,
            providers,
            self.oracle.name,
            self.clock.now,
            limits=POLICY,
            channels=tuple(Channel),
            screening=RiskScreening(self.oracle),
        )

    def _install(self, service: VerificationService) -> None:
        store = service.store
        assert isinstance(store, SqlStore)
        sessions = Sessions(SqlSessions(store.engine, store.encryption), self.clock.now)
        services.install(replace(self.real, verifications=service, sessions=sessions))

    def _person(self, place: int) -> Person:
        address = f"198.18.0.{place}"
        client = TestClient(self.backend.app, base_url=ORIGIN, client=(address, 1))
        client.portal = self.backend.portal
        cookie = self.real.flows.mint()
        flow = self.real.flows.read(cookie)
        assert flow is not None
        browser = Browser(client, cookie)
        leaves = self.stack.enter_context(ExitStack())
        tab = leaves.enter_context(browser.socket(token=f"tab-{next(TABS)}"))
        return Person(browser, Client(flow, address), tab, leaves, flows={flow})

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        assert self.backend.portal is not None
        return self.backend.portal.call(work)


@dataclass
class Acting:
    """I2: one person's action, which may send at most *most* messages.

    I12: the action takes no guess, no message and no session from another browser.
    """

    machine: AnyOrder
    person: Person
    most: int
    before: int = 0
    waiting: dict[str, Row[Any]] = field(default_factory=dict)
    """The open verifications of the other people, by id."""
    sessions: dict[str, str] = field(default_factory=dict)
    """The keyed hash of the number of each session of other people, by the token's hash."""
    own: set[str] = field(default_factory=set)
    """The keyed hashes of the numbers of the person's own sessions."""

    def __enter__(self) -> Person:
        self.before = len(self.machine.oracle.log)
        self.machine.oracle.by = self.person.client
        self.waiting, self.sessions, self.own = self._look()
        return self.person

    def __exit__(self, error: type[BaseException] | None, *exc: object) -> None:
        if error is None:
            self._the_others_have_what_they_had()
        done = self.machine.oracle.log[self.before :]
        assert sum(asked.action is Action.SEND for asked in done) <= self.most
        self.person.proved |= {asked.to.ending for asked in done if asked.is_yes}
        self.machine.seen["yes"] += sum(asked.is_yes for asked in done)

    def _the_others_have_what_they_had(self) -> None:
        waiting, sessions, own = self._look()
        assert waiting == self.waiting
        lost = {number for token, number in self.sessions.items() if token not in sessions}
        assert lost <= self.own - own  # signing out of a number ends all its sessions

    def _look(self) -> tuple[dict[str, Row[Any]], dict[str, str], set[str]]:
        mine = {sha256_hex(flow) for flow in self.person.flows}
        waiting, found = self.machine._read(self.machine._waiting(), self.machine._sessions())
        return (
            {row.id: row for row in waiting if row.flow not in mine},
            {row.token: row.phone_key for row in found if row.flow not in mine},
            {row.phone_key for row in found if row.flow in mine},
        )


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    """Return the number of sequences to try."""
    return 300 if request.config.getoption("nightly") else 6


@pytest.fixture
def seen(backend: TestClient, migrated: Path) -> Counter[str]:
    seen: Counter[str] = Counter()
    AnyOrder.backend, AnyOrder.template, AnyOrder.seen = backend, migrated, seen
    return seen


REACHED_SITUATIONS = (
    "yes",
    "sessions",
    "outages",
    "/request-otp 429",
    "/verify-otp 429",
    "/verify-otp 409",
    "all send calls",
    "all of LIMIT_SEND_NUMBER_UNPROVED",
    "shared codes",
)


def test_one_order_reaches_every_situation(seen: Counter[str]) -> None:
    """Few random sequences reach all of them, so this sequence is written out."""
    machine = AnyOrder()
    machine.begin()
    try:
        for step in (
            lambda: machine.use_up_the_messages_of_an_owner(0, 1, NUMBERS[0]),
            lambda: machine.ask_and_guess(0, NUMBERS[1], ["right"], "page"),
            lambda: machine.finish(0, "/finish"),
            lambda: machine.without_a_database(1, NUMBERS[1], "right"),
            lambda: [machine.keep_asking(2, NUMBERS[1 + place % 2], 1, 61) for place in range(6)],
            lambda: machine.later(3601),
            lambda: machine.provider_shares_codes(shares=True),
            lambda: machine.ask(0, NUMBERS[2], Channel.SMS, "form"),
            lambda: machine.later(31),
            lambda: machine.ask(1, NUMBERS[2], Channel.SMS, "form"),
            lambda: machine.guess(1, ["wrong"] * 5, "form"),
            lambda: machine.guess(0, ["wrong"] * 7, "form"),
            machine.sweep,
        ):
            step()
            machine.everything_holds()
    finally:
        machine.teardown()

    assert [name for name in REACHED_SITUATIONS if not seen[name]] == []


def test_whatever_is_done_in_whatever_order(seen: Counter[str], examples: int) -> None:
    run_state_machine_as_test(
        seed(1)(AnyOrder),  # the sequences do not depend on the text of the class
        settings=settings(
            derandomize=True,  # a failure is then caused by the change under test
            database=None,
            deadline=None,
            max_examples=examples,
            stateful_step_count=30,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=[*HealthCheck],
        ),
    )

    assert seen["yes"] > 0
