"""The judge: names each request and lists where it disobeys the vendor's official document."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from jsonschema.exceptions import ValidationError
from openapi_schema_validator import OAS30Validator

from tests.emulator.openapi import OPERATIONS, Operation

_OF_VONAGE = ("/v2/verify", "/identity-insights")


class Problem(NamedTuple):
    """A mistake in a request: the field, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Request:
    """One request as it arrived; header names are in lower case.

    `operation` is "unknown" where no document has the path. `applied` tells whether a service's
    state machine saw it, which a fault may have prevented.
    """

    service: str
    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes
    at: datetime
    params: Mapping[str, str]
    query: Mapping[str, str]
    problems: tuple[Problem, ...]
    applied: bool = True


def read(method: str, target: str, headers: Mapping[str, str], raw: bytes, at: datetime) -> Request:
    """The request these bytes make, judged."""
    url = urlsplit(target)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    name, params = _recognise(method, url.path)
    if name == "unknown":
        body, problems = None, [Problem("path", "is in no document")]
    else:
        operation = OPERATIONS[name]
        body, problems = _body(operation, raw, headers.get("content-type", ""))
        problems += _envelope_problems(operation, query, params, headers)
    return Request(
        service="vonage" if url.path.startswith(_OF_VONAGE) else "twilio",
        operation=name,
        method=method,
        path=url.path,
        headers=headers,
        body=body,
        raw=raw,
        at=at,
        params=params,
        query=query,
        problems=tuple(problems),
    )


def answer_problems(operation: str, status: int, body: object) -> list[Problem]:
    """Return the violations of the vendor's document by a response.

    A status that the document does not list has no violations.
    """
    documented = OPERATIONS[operation].answers.get(str(status), {})
    schemas = [media["schema"] for media in documented.get("content", {}).values()]
    return [problem for schema in schemas for problem in _schema_problems(schema, body)]


def _recognise(method: str, path: str) -> tuple[str, Mapping[str, str]]:
    for name, operation in OPERATIONS.items():
        match = operation.path.fullmatch(path)
        if match and operation.method == method:
            return name, match.groupdict()
    return "unknown", {}


def _envelope_problems(
    operation: Operation,
    query: Mapping[str, str],
    params: Mapping[str, str],
    headers: Mapping[str, str],
) -> Iterator[Problem]:
    for name, value in params.items():
        yield from _schema_problems(operation.params[name], value, name)
    yield from _query_problems(operation, query)
    if headers.get("authorization", "").partition(" ")[0].lower() not in operation.auth:
        yield Problem("Authorization", f"must be {' or '.join(sorted(operation.auth))}")


def _query_problems(operation: Operation, query: Mapping[str, str]) -> Iterator[Problem]:
    for name, value in query.items():
        if name in operation.query:
            yield from _schema_problems(operation.query[name], value, name)
        else:
            yield Problem(name, "is in no document")


def _body(operation: Operation, raw: bytes, content_type: str) -> tuple[Any, list[Problem]]:
    if operation.media_type is None:
        return None, [Problem("body", "is in no document")] if raw else []
    if content_type.partition(";")[0].strip().lower() != operation.media_type:
        return None, [Problem("Content-Type", f"must be {operation.media_type}")]
    try:
        body = json.loads(raw) if operation.media_type.endswith("json") else _form(raw)
    except ValueError as exc:
        return None, [Problem("body", str(exc))]
    return body, [item for schema in operation.body for item in _schema_problems(schema, body)]


def _form(raw: bytes) -> dict[str, str]:
    pairs = parse_qsl(raw.decode(), keep_blank_values=True, strict_parsing=True)
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field is repeated")
    return dict(pairs)


def _schema_problems(schema: Mapping[str, Any], value: object, name: str = "") -> Iterator[Problem]:
    for error in OAS30Validator(schema).iter_errors(value):
        cause = _cause(error)
        yield Problem(name or _culprit(cause), cause.message)


def _cause(error: ValidationError) -> ValidationError:
    """Return the error in the alternative whose channel is the one that was given."""
    while error.context:
        others = {item.schema_path[0] for item in error.context if item.validator == "enum"}
        meant = [item for item in error.context if item.schema_path[0] not in others]
        error = (meant or error.context)[0]
    return error


def _culprit(error: ValidationError) -> str:
    """The field at fault; one that is missing or unknown is named by the message alone."""
    if error.validator in {"required", "additionalProperties"}:
        return str(error.message.split("'")[1])
    return ".".join(map(str, error.absolute_path)) or "body"
