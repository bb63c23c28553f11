"""The threads that run jobs. A job is a function that uses the database in one transaction.

A job is synchronous and can be run again: it changes nothing but the database, draws no random
value and waits for nothing. The event loop hands a job to a thread and gets its result by one call.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError

from otp_app.errors import StoreUnavailable
from otp_app.storage import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import TypeAlias

    from sqlalchemy import Connection, Engine

    Job: TypeAlias = Callable[[Connection], Any]

_T = TypeVar("_T")

WAITING = 1024
"""Largest number of jobs that wait for a thread. A further job is refused at once.

The overload gate admits 768 sends and checks by default. Each of them has one job at a time.
"""

BATCH = 128
"""Largest number of jobs in one transaction: some 20 ms of work, during which new jobs wait."""

GIVE_UP = 3
"""A caller gives up after this many times the patience, for example if the disk does not respond.
The job may still be completed afterwards. Its caller must take it for undone."""

STOP = 5.0  # seconds that the end of a thread is waited for

RETRIES = 5
"""Transactions that PostgreSQL may abort for one job because of a concurrent transaction."""

_ABORTED = ("40001", "40P01")  # SQLSTATE: serialization failure, deadlock

LOG_AGAIN = 60.0  # seconds until the same cause of a failure is logged again

log = structlog.get_logger(__name__)


class Outcome:
    """The value that a job has returned, or the exception that it has raised.

    An outcome is a context manager, and takes the exception of its block.
    """

    __slots__ = ("error", "value")

    def __init__(self, error: BaseException | None = None) -> None:
        self.value: Any = None
        self.error = error

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> bool:
        """Keep *error* instead of raising it."""
        self.error = error
        return True


class _Waiting(NamedTuple):
    """A job in the queue. At *until*, a time of `time.monotonic`, its caller gives up."""

    job: Job
    until: float
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


@dataclass
class JobRunner:
    """A queue of jobs and the threads that run them.

    Attributes:
        engine: the source of connections.
        patience: seconds that a job waits at most before it is run.
        threads: number of threads.
    """

    engine: Engine
    patience: float
    threads: int = 1
    _queue: SimpleQueue[_Waiting | None] = field(default_factory=SimpleQueue, init=False)
    _running: list[threading.Thread] = field(default_factory=list, init=False)
    _logged: dict[str, float] = field(default_factory=dict, init=False)

    async def run(self, job: Callable[[Connection], _T]) -> _T:
        """Return the result of *job*. The job completes even if its caller is canceled.

        Raises:
            StoreUnavailable: the database does not respond, or too many jobs wait.
        """
        if self._queue.qsize() >= WAITING:
            raise StoreUnavailable
        if not self._running:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        self._queue.put(_Waiting(job, time.monotonic() + self.patience, future, loop))
        giving_up = loop.call_later(GIVE_UP * self.patience, _give_up, future)
        try:
            return await future
        finally:
            giving_up.cancel()

    async def stop(self) -> None:
        """End the threads after the jobs that wait. A later job starts new threads."""
        running, self._running = self._running, []
        for _ in running:
            self._queue.put(None)
        for thread in running:
            await asyncio.to_thread(thread.join, STOP)

    def _start(self) -> None:
        make = partial(threading.Thread, target=self._work, name="database", daemon=True)
        self._running = [make() for _ in range(self.threads)]
        for thread in self._running:
            thread.start()

    def _work(self) -> None:
        while self._work_once():
            continue
        self._disconnect()

    def _work_once(self) -> bool:
        """Wait for jobs, run them, and return whether the thread goes on."""
        batch, is_last = self._batch()
        now = time.monotonic()
        late = [one for one in batch if one.until < now]
        _deliver(late, [Outcome(StoreUnavailable()) for _ in late])
        if due := [one for one in batch if one.until >= now]:
            outcomes = self._outcomes([one.job for one in due])
            _deliver(due, [self._translated(outcome) for outcome in outcomes])
        return not is_last

    def _batch(self) -> tuple[list[_Waiting], bool]:
        """Wait for a job. Return it with all jobs behind it, and whether the thread has to end."""
        found = [self._queue.get()]
        with suppress(Empty):
            while found[-1] and len(found) < BATCH:
                found.append(self._queue.get_nowait())
        return [one for one in found if one], found[-1] is None

    def _outcomes(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Run *jobs*. An error outside of them, for example at the commit, is that of each job."""
        whole, outcomes = Outcome(), list[Outcome]()
        with whole:
            outcomes = list(self._run(jobs))
        return [Outcome(whole.error) for _ in jobs] if whole.error else outcomes

    def _run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Run each of *jobs*, and return their outcomes in the same order."""
        raise NotImplementedError

    def _translated(self, outcome: Outcome) -> Outcome:
        """Replace an error of the database, other than a violated constraint.

        The connection is closed then, because it may be the cause.
        """
        driver = self.engine.dialect.loaded_dbapi
        is_constraint = isinstance(outcome.error, IntegrityError | driver.IntegrityError)
        if isinstance(outcome.error, DBAPIError | driver.Error | OSError) and not is_constraint:
            self._disconnect()
            outcome.error = unavailable(outcome.error)
            self._log(outcome.error.why)
        return outcome

    def _log(self, why: str) -> None:
        """Log a failure, at most once in `LOG_AGAIN` seconds for the same cause."""
        now = time.monotonic()
        if self._logged.get(why, -LOG_AGAIN) + LOG_AGAIN <= now:
            self._logged[why] = now
            with suppress(OSError):  # a full disk may refuse the log, too
                log.error("database.failed", why=why)

    def _disconnect(self) -> None:
        """Close the connection of the thread, if the thread keeps one."""


@dataclass
class PostgresqlRunner(JobRunner):
    """Several threads, because PostgreSQL can run transactions at the same time."""

    def _batch(self) -> tuple[list[_Waiting], bool]:
        found = self._queue.get()
        return ([found] if found else []), found is None

    def _run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        return [self._one(job) for job in jobs]

    def _one(self, job: Job) -> Outcome:
        """Run *job*, again if a concurrent transaction made PostgreSQL abort it."""
        outcome = Outcome()
        for _ in range(RETRIES):
            outcome = Outcome()
            with outcome, self._transaction() as connection:
                outcome.value = job(connection)
            if _sqlstate(outcome.error) not in _ABORTED:
                break
        return outcome

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Commit the block, or roll it back if it raises."""
        with self._sessions.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(self._begin)
            yield connection
            cursor.execute("COMMIT")

    @cached_property
    def _sessions(self) -> Engine:
        """The engine without the driver's own BEGIN, which would be another message.

        A connection that returns to its pool within a transaction is rolled back.
        """
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @cached_property
    def _begin(self) -> str:
        """The begin of a transaction, with its time-outs, in one message.

        The settings end with the transaction. A pooler gives the session to another client then.
        """
        lock = max(1, round(self.patience * 1000))
        limits = {
            "lock_timeout": lock,
            "statement_timeout": (GIVE_UP - 1) * lock,  # before the caller gives up
            "idle_in_transaction_session_timeout": GIVE_UP * lock,
        }
        return "; ".join(["BEGIN", *(f"SET LOCAL {name}={ms}" for name, ms in limits.items())])


def _sqlstate(error: BaseException | None) -> str | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    return getattr(origin, "sqlstate", None)


def _deliver(waiting: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    """Give all *outcomes* to their event loop, in one call for each loop."""
    found = [(one, outcome) for one, outcome in zip(waiting, outcomes, strict=True)]
    for loop in {one.loop for one in waiting}:
        mine = [(one.future, outcome) for one, outcome in found if one.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, mine)


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(StoreUnavailable())


def _settle(found: Sequence[tuple[asyncio.Future[Any], Outcome]]) -> None:
    for future, outcome in found:
        if future.done():
            continue  # its caller was canceled
        if outcome.error:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
