"""An upgrade: what an earlier version has begun goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import inspect

from otp_app.errors import RateLimited
from otp_app.phone import PhoneNumber
from otp_app.storage import migrations
from otp_app.storage.engine import migrate
from otp_app.storage.phone_encryption import prepare_numbers
from otp_app.storage.sessions import SqlSessions
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Flow, Status
from otp_app.verification.sessions import Sessions
from tests.database import connected
from tests.fakes import RIGHT

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

pytestmark = pytest.mark.databases

EARLIER = "0010"
PHONE, OTHER_PHONE = PhoneNumber("+447400123456"), PhoneNumber("+447911234567")
ME, OTHER = Client(Flow("me"), "203.0.113.7"), Client(Flow("other"), "203.0.113.8")


async def test_an_open_verification_and_a_session_go_on_and_limits_begin_anew(
    verifications: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    engine, service = sql_store.engine, replace(verifications, limits=POLICY)
    sessions = Sessions(SqlSessions(engine, sql_store.encryption), clock.now)
    verified = await service.start(OTHER, OTHER_PHONE, Channel.SMS)
    await service.check(OTHER, verified.id, RIGHT)
    token = await sessions.open(OTHER.flow, verified.id)
    started = await service.start(ME, PHONE, Channel.SMS)

    async with connected(engine) as connection:
        await connection.run_sync(lambda one: command.downgrade(migrations.config(one), EARLIER))
        tables = await connection.run_sync(lambda one: inspect(one).get_table_names())
    assert "limit_hits" in tables
    assert "limits" not in tables
    await engine.dispose()
    await migrate(str(engine.url))
    await prepare_numbers(engine, sql_store.encryption)

    session = await sessions.find(token)
    assert session
    assert session.phone == OTHER_PHONE
    approved = await service.check(ME, started.id, RIGHT)
    assert approved.status is Status.APPROVED
    clock.tick(600)
    assert await service.start(ME, PHONE, Channel.SMS)
    with pytest.raises(RateLimited):
        await service.start(OTHER, PHONE, Channel.SMS)
