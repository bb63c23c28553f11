"""Protection against cross-site request forgery (CSRF), by the headers of a POST."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request

_SAME_SITE = {"same-origin", "none", None}  # values of Sec-Fetch-Site; old browsers send none


def require_own_page(request: Request) -> None:
    """Refuse a request that a page of another site sent with the person's cookies.

    Raises:
        HTTPException: 403, the request is from another site.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    # A page without a referrer sends `Origin: null` (Fetch, "append a request `Origin` header").
    # Sec-Fetch-Site then has to be same-origin.
    hidden = origin == "null" and site == "same-origin"
    named = origin in request.app.state.allowed_origins
    # Another port is another origin of the same site. `reflex run` serves pages and backend on two
    # ports.
    allowed = _SAME_SITE | ({"same-site"} if named else set())
    if not (hidden or named or origin is None) or site not in allowed:
        raise HTTPException(403)


async def own_form(request: Request) -> dict[str, str]:
    """Return the fields of a urlencoded form that a page of ours sent.

    Raises:
        HTTPException: 403, the form is from another site.
    """
    require_own_page(request)
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
