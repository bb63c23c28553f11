"""A client of the API for other Python programs. The only dependency is httpx.

The package imports nothing from the rest of the app, so a copy of this folder works wherever httpx
is installed: https://www.python-httpx.org/
"""

from otp_app.client.clients import AsyncClient, Client
from otp_app.client.protocol import (
    ApiError,
    Channel,
    ClientError,
    NoAnswer,
    NotReached,
    Verification,
)

__all__ = [
    "ApiError",
    "AsyncClient",
    "Channel",
    "Client",
    "ClientError",
    "NoAnswer",
    "NotReached",
    "Verification",
]
