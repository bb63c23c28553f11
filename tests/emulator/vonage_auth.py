"""The two ways into Vonage Verify v2: key and secret, or an application's signed token.

https://developer.vonage.com/en/getting-started/concepts/authentication
"""

from base64 import b64encode

import jwt

from tests.emulator.credentials import (
    VONAGE_API_KEY,
    VONAGE_API_SECRET,
    VONAGE_APPLICATION_ID,
    vonage_public_key,
)

_BASIC = f"Basic {b64encode(f'{VONAGE_API_KEY}:{VONAGE_API_SECRET}'.encode()).decode()}"


def refusal_of(authorization: str, public_key: str | None) -> str | None:
    """Return the kind of 401 for an `Authorization` header, or None if it is valid."""
    scheme, _, token = authorization.partition(" ")
    if scheme == "Bearer":
        return _refusal_of_token(token, public_key or vonage_public_key())
    return None if authorization == _BASIC else "unauthorized"


def _refusal_of_token(token: str, public_key: str) -> str | None:
    """Check *token* against real time, because the SDK signs with real time."""
    required = ["application_id", "iat", "jti", "exp"]
    try:
        claims = jwt.decode(token, public_key, algorithms=["RS256"], options={"require": required})
    except jwt.ExpiredSignatureError:
        return "jwt-expired"
    except jwt.InvalidTokenError:
        return "unauthorized"
    return None if claims["application_id"] == VONAGE_APPLICATION_ID else "unauthorized"
