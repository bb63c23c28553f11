"""The operations of the vendors' official documents, with the schemas that bind them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.emulator.specs import load

_NAMES = {
    "CreateVerification": "twilio.start",
    "CreateVerificationCheck": "twilio.check",
    "UpdateVerification": "twilio.cancel",
    "FetchVerification": "twilio.fetch",
    "FetchService": "twilio.service",
    "newRequest": "vonage.start",
    "checkCode": "vonage.check",
    "nextWorkflow": "vonage.next",
    "cancelRequest": "vonage.cancel",
    "FetchPhoneNumber": "twilio.look",
    "getInsights": "vonage.look",
}

_PROSE = load("prose_rules.json")


@dataclass(frozen=True)
class Operation:
    """One method of one path; every schema in it stands on its own, without references."""

    name: str
    method: str
    path: re.Pattern[str]
    params: Mapping[str, Any]
    query: Mapping[str, Any]
    auth: frozenset[str]
    media_type: str | None
    body: tuple[Mapping[str, Any], ...]
    answers: Mapping[str, Any]


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    base = urlsplit(document["servers"][0]["url"]).path
    schemes = document["components"]["securitySchemes"]
    for path, item in _inline(document["paths"], document).items():
        for method in item.keys() - {"parameters"}:
            yield _operation(base + path, method, item, schemes)


def _operation(
    path: str, method: str, item: Mapping[str, Any], schemes: Mapping[str, Any]
) -> Operation:
    operation = item[method]
    name = _NAMES[operation["operationId"]]
    parameters = item.get("parameters", []) + operation.get("parameters", [])
    [(media_type, media)] = operation.get("requestBody", {"content": {None: {}}})["content"].items()
    return Operation(
        name=name,
        method=method.upper(),
        # The SDK posts to /v2/verify where the document's path is "/" under that server.
        path=re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path).removesuffix("/")),
        params=_schemas(parameters, "path"),
        query={
            key: {"allOf": [schema, _prose_of(name, key)]}
            for key, schema in _schemas(parameters, "query").items()
        },
        auth=frozenset(schemes[key]["scheme"] for need in operation["security"] for key in need),
        media_type=media_type,
        body=(_closed(media.get("schema", {})), _PROSE.get(name, {})),
        answers=operation["responses"],
    )


def _schemas(parameters: list[Any], where: str) -> dict[str, Any]:
    return {item["name"]: item["schema"] for item in parameters if item["in"] == where}


def _prose_of(operation: str, field: str) -> Mapping[str, Any]:
    rules: Mapping[str, Any] = _PROSE.get(operation, {}).get("properties", {}).get(field, {})
    return rules


def _inline(node: Any, document: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """The document with every `$ref` replaced by what it points at (none is recursive)."""
    if isinstance(node, list):
        return [_inline(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(_target(node["$ref"], document), document)
    return {key: _inline(value, document) for key, value in node.items()}


def _target(reference: str, document: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    node: Any = document
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    return node


def _closed(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The schema, now refusing every field it does not name."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return closed | {"additionalProperties": False} if "properties" in schema else closed


OPERATIONS = {
    operation.name: operation
    for file in (
        "twilio_verify_v2.json",
        "vonage_verify_v2.json",
        "twilio_lookups_v2.json",
        "vonage_identity_insights_v1.json",
    )
    for operation in _operations(load(file))
}
