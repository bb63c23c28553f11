"""Vonage Identity Insights v1. https://developer.vonage.com/en/api/identity-insights."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from tests.emulator.clock import Clock
from tests.emulator.contract import Request
from tests.emulator.errors import vonage_error
from tests.emulator.lines import MOBILE, Kind, Line
from tests.emulator.vonage_auth import refusal_of
from tests.emulator.wire import Answer

_TYPES: Mapping[Kind, str] = {
    "mobile": "MOBILE",
    "landline": "LANDLINE",
    "fixed_voip": "LANDLINE",
    "voip": "VIRTUAL",
}
_OK = {"status": {"code": "OK", "message": "Success"}}
_UNKNOWN = {"status": {"code": "NO_COVERAGE", "message": "Not supported"}}
_DEFAULT_PERIOD = 240  # hours


class VonageInsights:
    """The service."""

    def __init__(self, clock: Clock, lines: Mapping[str, Line], public_key: str | None) -> None:
        self._clock = clock
        self._lines = lines
        self._public_key = public_key
        self._tell: Mapping[str, Callable[[Line, dict[str, Any]], dict[str, Any]]] = {
            "sim_swap": self._sim_swap,
            "original_carrier": _carrier,
        }

    def answer(self, request: Request) -> Answer:
        """Return the data of the number in the body."""
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith("Bearer "):  # key and secret are no way in here
            return vonage_error(401, "unauthorized")
        if kind := refusal_of(authorization, self._public_key):
            return vonage_error(401, kind)
        if request.problems:
            parameters = [problem._asdict() for problem in request.problems]
            return vonage_error(422, "invalid-params", invalid_parameters=parameters)
        line = self._lines.get(f"+{request.body['phone_number'].removeprefix('+')}", MOBILE)
        insights = {
            name: self._tell[name](line, asked)
            if line.is_known and name in self._tell
            else _UNKNOWN
            for name, asked in request.body["insights"].items()
        }
        return Answer(200, {"request_id": str(uuid4()), "insights": insights})

    def _sim_swap(self, line: Line, asked: dict[str, Any]) -> dict[str, Any]:
        at = line.sim_swapped_at
        oldest = self._clock.now() - timedelta(hours=asked.get("period", _DEFAULT_PERIOD))
        dated = {"latest_sim_swap_at": at.isoformat()} if at and line.tells_date else {}
        return {**dated, "is_swapped": at is not None and at >= oldest, **_OK}


def _carrier(line: Line, _asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "Carrier",
        "network_type": _TYPES[line.kind],
        "country_code": "GB",
        "network_code": "23415",
        **_OK,
    }
