"""The only parser of cookies in this app. Names must match exactly, as browsers match them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLANKS = " \t"  # RFC 6265 section 5.2; `str.strip` also removes bytes of the name, such as 0xA0
_COOKIE = b"cookie"


def cookie_value(header: str, name: str) -> str:
    r"""Return the value of the cookie *name* in a `Cookie` header; "" if it is absent or duplicate.

    A browser enforces the rules of the prefix `__Host-` on exact names only. A parser that strips
    more than the browser does would take `\xa0__Host-flow`, which any sibling domain can set, for
    `__Host-flow`. If there are two cookies of one name, somebody else has set one of them.
    """
    pairs = (pair.partition("=") for pair in header.split(";"))
    values = [value for key, equals, value in pairs if equals and key.strip(_BLANKS) == name]
    return values[0].strip(_BLANKS) if len(values) == 1 else ""


def with_one_cookie_header(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return ASGI *headers* with all `Cookie` lines joined into one, by RFC 9113 section 8.2.3.

    A parser that reads only one of several lines would not notice a duplicate name.
    """
    cookies = [value for name, value in headers if name.lower() == _COOKIE]
    others = [pair for pair in headers if pair[0].lower() != _COOKIE]
    return [*others, *([(_COOKIE, b"; ".join(cookies))] if cookies else [])]
