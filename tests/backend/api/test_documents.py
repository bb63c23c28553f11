"""The API's documents: every error is described, and the page loads nothing from other sites."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from openapi_schema_validator import OAS31Validator

from otp_app import routes
from otp_app.api import openapi
from otp_app.api.schemas import GuideError, Problem
from otp_app.presentation import message
from otp_app.verification.limits import Action
from otp_app.web import problems
from otp_app.web.bounds import api_action
from tests.unit.test_i18n import concrete

if TYPE_CHECKING:
    from otp_app.errors import OtpError
    from tests.backend.api.conftest import Caller


@pytest.fixture
def document(nobody: Caller) -> dict[str, Any]:
    """Return the OpenAPI document, which is public."""
    answer: dict[str, Any] = nobody.request("GET", "/api/openapi.json").json()
    return answer


@pytest.mark.parametrize("kind", list(concrete()), ids=lambda kind: kind.code)
def test_every_error_has_an_example_a_type_a_status_and_words(kind: type[OtpError]) -> None:
    (example,) = [error for error in openapi.EXAMPLES if error.code == kind.code]

    problem = problems.problem(example, openapi.NOW)

    assert problem["type"] == f"/api/docs#{kind.code}"
    assert problem["status"] == kind.status
    assert problem["detail"] == message(example, now=openapi.NOW)
    Problem.model_validate(problem)
    GuideError.model_validate(problems.guide_problem(example, openapi.NOW))


def test_every_error_is_documented_where_it_may_come(document: dict[str, Any]) -> None:
    everywhere = {"path_unknown", "method_not_allowed", "unexpected"}
    documented_codes = {
        code
        for operations in document["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for content in answer.get("content", {}).values()
        for code in content.get("examples", {})
    }

    assert documented_codes == {kind.code for kind in concrete()} - everywhere


def test_the_document_is_openapi_3_1_and_lists_every_route(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        *routes.GUIDES,
        routes.HEALTH,
        routes.VERIFICATIONS,
        f"{routes.VERIFICATIONS}/{{id}}",
        f"{routes.VERIFICATIONS}/{{id}}/check",
        f"{routes.VERIFICATIONS}/{{id}}/resend",
    }
    for schema in document["components"]["schemas"].values():
        OAS31Validator.check_schema(schema)
    references = set(re.findall(r"#/components/schemas/(\w+)", f"{document}"))
    assert references <= set(document["components"]["schemas"])


def test_every_post_of_the_api_passes_the_overload_gate(document: dict[str, Any]) -> None:
    actions = {
        path: api_action({"type": "http", "method": "POST", "path": path.format(id="x.y-z")})
        for path, operations in document["paths"].items()
        if "post" in operations
    }

    checks = {path for path, action in actions.items() if action is Action.CHECK}
    assert checks == {
        routes.TWILIO_CHECK,
        routes.VONAGE_CHECK,
        f"{routes.VERIFICATIONS}/{{id}}/check",
    }
    assert {action for path, action in actions.items() if path not in checks} == {Action.SEND}


def test_what_goes_in_has_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    for name in ("GuideRequest", "GuideCheck", "NewVerification", "Guess"):
        assert all(
            "examples" in field or "$ref" in field for field in schemas[name]["properties"].values()
        )
        assert schemas[name]["additionalProperties"] is False


def test_links_lead_from_a_new_verification_to_what_can_be_done(document: dict[str, Any]) -> None:
    links = document["paths"][routes.VERIFICATIONS]["post"]["responses"]["201"]["links"]

    assert {link["operationId"] for link in links.values()} == {
        "read",
        "check",
        "resend",
        "cancel",
    }


def test_the_page_has_every_operation_and_error_and_nothing_from_elsewhere(
    nobody: Caller, document: dict[str, Any]
) -> None:
    answer = nobody.request("GET", "/api/docs")
    page = answer.text

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    anchors = set(re.findall(r'\bid="([^"]+)"', page))
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= anchors
    assert {kind.code for kind in concrete()} <= anchors
    assert all(path in page for path in document["paths"])
    assert not re.search(r"<script|<style|style=|\bon\w+=|//", page)
    assert "'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/api/docs", "/api/openapi.json", "/health"])
def test_what_can_be_read_can_be_asked_for_its_headers(nobody: Caller, path: str) -> None:
    answer = nobody.request("HEAD", path)

    assert (answer.status_code, answer.content) == (200, b"")
