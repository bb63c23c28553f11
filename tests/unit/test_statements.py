"""Statements of the hot path: one definition serves both databases, and converts as Core does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from otp_app.storage import audit as audit_module
from otp_app.storage import (
    limit_counts,
    sessions,
    verification_queries,
    verification_statements,
)
from otp_app.storage.statements import Statement
from otp_app.storage.tables import Stage, audit, verifications
from otp_app.verification.limits import Action
from otp_app.verification.models import Channel, Status

if TYPE_CHECKING:
    from types import ModuleType

    from sqlalchemy import BindParameter, Dialect

    from otp_app.storage.store import SqlStore

pytestmark = pytest.mark.databases

MODULES = (audit_module, limit_counts, sessions, verification_queries, verification_statements)
STATEMENTS = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Statement)
}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALL = {
    "attempt": "call",
    "stage": Stage.ASKED,
    "at": NOW,
    "event": Action.SEND,
    "verification": "id",
    "provider": "fake",
    "channel": Channel.SMS,
    "region": "GB",
    "number": "n",
    "block": "b",
    "flow": "f",
    "source": None,
}


@pytest.mark.parametrize("module", [sqlite, postgresql], ids=["sqlite", "postgresql"])
def test_every_statement_is_understood_by_both_databases(module: ModuleType) -> None:
    dialect: Dialect = module.dialect()
    made = [
        *STATEMENTS.values(),
        limit_counts.select_rows(3),
        limit_counts.upsert_rows(dialect.name, 3),
        verification_statements.insert_verification(dialect.name),
        verification_statements.upsert_user(dialect.name),
    ]
    if dialect.name == "postgresql":
        made.append(limit_counts.lock_rows(3))

    assert len(made) > 15
    for statement in made:
        compiled = statement._for(dialect)
        values = dict.fromkeys(name for _, name, _ in compiled.variables)
        assert len(compiled.bind(values)) >= len(compiled.variables)


async def test_values_go_in_and_come_out_as_by_sqlalchemy(sql_store: SqlStore) -> None:
    names: dict[str, BindParameter[Any]] = {name: bindparam(name) for name in CALL}
    writing = Statement(insert(audit).values(names))
    columns = (audit.c.at, audit.c.stage, audit.c.outcome, audit.c.source)
    reading = Statement(select(*columns).where(audit.c.at <= bindparam("now")))

    assert await sql_store.engine.write(lambda tx: writing.execute(tx, **CALL)) == 1
    found = await sql_store.engine.read(lambda tx: reading.first(tx, now=NOW))
    by_core = await sql_store.engine.rows(select(*columns))

    assert found == dict(by_core[0])
    assert found == {"at": NOW, "stage": Stage.ASKED, "outcome": None, "source": None}


async def test_a_constant_is_part_of_the_statement(sql_store: SqlStore) -> None:
    await sql_store.engine.write(
        lambda tx: Statement(insert(audit).values({n: bindparam(n) for n in CALL})).execute(
            tx, **CALL
        )
    )
    is_either = audit.c.stage.in_([Stage.ASKED, Stage.ANSWERED])
    asked = Statement(select(audit.c.attempt).where(is_either, audit.c.attempt == bindparam("id_")))
    is_approved = verifications.c.status == Status.APPROVED
    none = Statement(update(verifications).where(is_approved).values(reference=None))

    assert await sql_store.engine.read(lambda tx: asked.rows(tx, id_="call")) == [
        {"attempt": "call"}
    ]
    assert await sql_store.engine.write(none.execute) == 0
