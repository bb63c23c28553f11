"""`DeliveryReportStore` on a database: each method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from sqlalchemy import select

from otp_app.storage.engine import INSERTS
from otp_app.storage.tables import deliveries as table
from otp_app.storage.tables import verifications
from otp_app.verification.deliveries import DeliveryReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Executable

    from otp_app.storage.engine import Engine
    from otp_app.verification.models import Verification

_d, _v = table.c, verifications.c
_FIELDS = [field.name for field in fields(DeliveryReport) if field.name != "provider"]
_COLUMNS = [_d[name] for name in _FIELDS]


@dataclass(frozen=True)
class SqlDeliveryReports:
    """The delivery reports in the database of *engine*."""

    engine: Engine

    async def add(
        self, deliveries: Sequence[DeliveryReport]
    ) -> Sequence[tuple[str, DeliveryReport]]:
        """Store the new reports in one transaction and return them.

        A provider retries a whole request, so its reports are stored together or not at all.
        """
        if not deliveries:
            return []

        def work(connection: Connection) -> list[tuple[str, DeliveryReport]]:
            known = connection.execute(_about(deliveries)).all()
            theirs = {
                (id_, delivery.event): delivery
                for delivery in deliveries
                for id_, *same in known
                if same == [delivery.provider, delivery.reference]
            }
            if not theirs:
                return []
            reports = [_to_row(id_, delivery) for (id_, _), delivery in theirs.items()]
            added = connection.execute(self._keep(), reports)
            return [(id_, theirs[id_, event]) for id_, event in added]

        return await self.engine.write(work)

    async def reports(self, verification: Verification) -> Sequence[DeliveryReport]:
        """Return the reports about the current reference of *verification*, in no order."""
        mine = (_d.verification == verification.id, _d.reference == verification.reference)
        found = await self.engine.rows(select(*_COLUMNS).where(*mine))
        return [DeliveryReport(provider=verification.provider, **row) for row in found]

    def _keep(self) -> Executable:
        """Return an INSERT that ignores known reports and returns the keys of the new ones."""
        insertion = INSERTS[self.engine.dialect.name](table).on_conflict_do_nothing()
        return insertion.returning(_d.verification, _d.event)


def _about(deliveries: Sequence[DeliveryReport]) -> Executable:
    """Select and lock the verifications with the references of *deliveries*.

    The lock keeps them from being deleted before their reports are stored. Several verifications
    can have one reference: Twilio gives the same one to all browsers that verify a number.
    """
    references = {delivery.reference for delivery in deliveries}
    found = select(_v.id, _v.provider, _v.reference).where(_v.reference.in_(references))
    return found.with_for_update(read=True, key_share=True)


def _to_row(id_: str, delivery: DeliveryReport) -> dict[str, object]:
    return {"verification": id_} | {name: getattr(delivery, name) for name in _FIELDS}
