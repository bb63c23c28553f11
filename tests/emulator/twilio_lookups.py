"""Twilio Lookup v2. https://www.twilio.com/docs/lookup/v2-api."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import phonenumbers

from tests.emulator.clock import Clock
from tests.emulator.contract import Request
from tests.emulator.errors import twilio_error
from tests.emulator.lines import MOBILE, Kind, Line
from tests.emulator.twilio import is_authentic
from tests.emulator.wire import Answer

_TYPES: Mapping[Kind, str] = {
    "mobile": "mobile",
    "landline": "landline",
    "fixed_voip": "fixedVoip",
    "voip": "nonFixedVoip",
}
_CARRIER = {"carrier_name": "Carrier", "mobile_country_code": "276", "mobile_network_code": "02"}
_NO_CARRIER: dict[str, Any] = dict.fromkeys(_CARRIER)
_OUT_OF_COVERAGE = 60600  # https://www.twilio.com/docs/api/errors/60600

# Every package that the document names; those that were not asked for are null in an answer.
_PACKAGES = (
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "line_type_intelligence",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
)


class TwilioLookups:
    """The service. `swapped_period` is what was agreed for carriers that tell no dates."""

    def __init__(self, clock: Clock, lines: Mapping[str, Line]) -> None:
        self.swapped_period = timedelta(hours=24)
        self._clock = clock
        self._lines = lines
        self._tell: Mapping[str, Callable[[Line], dict[str, Any]]] = {
            "sim_swap": self._sim_swap,
            "line_type_intelligence": _line_type,
            "sms_pumping_risk": _pumping_risk,
        }

    def answer(self, request: Request) -> Answer:
        """Return the data of the number in the path."""
        if not is_authentic(request.headers.get("authorization", "")):
            return twilio_error(20003)
        if request.problems:
            return twilio_error(60200, message=f"Invalid parameter: {request.problems[0].name}")
        number = phonenumbers.parse(request.params["PhoneNumber"])
        line = self._lines.get(request.params["PhoneNumber"], MOBILE)
        asked = set(filter(None, request.query.get("Fields", "").split(",")))
        packages = {name: self._tell[name](line) for name in asked & self._tell.keys()}
        return Answer(200, _number(number) | dict.fromkeys(_PACKAGES) | packages)

    def _sim_swap(self, line: Line) -> dict[str, Any]:
        if not line.is_known:
            return {"last_sim_swap": None, **_NO_CARRIER, "error_code": _OUT_OF_COVERAGE}
        at, oldest = line.sim_swapped_at, self._clock.now() - self.swapped_period
        last = {
            "last_sim_swap_date": at.isoformat() if at and line.tells_date else None,
            "swapped_period": f"PT{self.swapped_period // timedelta(hours=1)}H",
            "swapped_in_period": at is not None and at >= oldest,
        }
        return {"last_sim_swap": last, **_CARRIER, "error_code": None}


def _number(number: phonenumbers.PhoneNumber) -> dict[str, Any]:
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return {
        "calling_country_code": str(number.country_code),
        "country_code": phonenumbers.region_code_for_number(number),
        "phone_number": e164,
        "national_format": national,
        "valid": True,
        "validation_errors": [],
        "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{e164}",
    }


def _line_type(line: Line) -> dict[str, Any]:
    if not line.is_known:
        return {"type": None, **_NO_CARRIER, "error_code": _OUT_OF_COVERAGE}
    return {"type": _TYPES[line.kind], **_CARRIER, "error_code": None}


def _pumping_risk(line: Line) -> dict[str, Any]:
    return {
        "carrier_risk_category": line.pumping_risk,
        "number_blocked": line.is_blocked,
        "number_blocked_date": None,
        "number_blocked_last_3_months": line.is_blocked,
        "sms_pumping_risk_score": 61,
        "error_code": None,
    }
