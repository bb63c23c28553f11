"""Whether a POST comes from a page of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request

_SAME_SITE = {"same-origin", "none", None}  # Sec-Fetch-Site; old browsers send none of it


def require_own_page(request: Request) -> None:
    """Refuse what another site's page has sent, with the person's cookies.

    Raises:
        HTTPException: 403.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    # A page that sends no referrer does not say its origin either (Fetch, "append a request
    # `Origin` header"); then the browser's word for it has to be there.
    hidden = origin == "null" and site == "same-origin"
    named = origin in request.app.state.allowed_origins
    # Another port is another origin of the same site: so `reflex run` serves pages and backend.
    allowed = _SAME_SITE | ({"same-site"} if named else set())
    if not (hidden or named or origin is None) or site not in allowed:
        raise HTTPException(403)


async def own_form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded body, sent by a page of ours.

    Raises:
        HTTPException: 403.
    """
    require_own_page(request)
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
