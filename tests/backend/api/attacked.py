"""The app for schemathesis and for clients: a real server without limits and waits."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from otp_app import services
from otp_app.bootstrap import running
from otp_app.config import settings_or_exit
from otp_app.verification.models import Policy
from tests.backend.stack import in_stack
from tests.fakes import FakeProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

settings = settings_or_exit()


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with running(settings):
        here, fake = services.current(), FakeProvider()
        verifications = replace(
            here.verifications,
            providers={fake.name: fake},
            provider=fake.name,
            limits=(),
            policy=Policy(cooldowns=(timedelta(0),)),
        )
        services.install(replace(here, verifications=verifications))
        yield


def app() -> ASGIApp:
    """Return the ASGI app for granian."""
    return in_stack(Starlette(lifespan=lifespan), settings)
