"""The storage adapters: the domain's stores, limiter and audit on SQLite or PostgreSQL.

The package itself contains the causes of the database's failures, in words for the operator.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from otp_app.errors import StoreUnavailable

_OTHER_VERSION = "its tables are not those of this version: start the app, which migrates it"
_STARTING = "the server is starting or stopping"
_CAUSES = {
    # SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
    "08": "the connection was lost",
    "25006": "it is read-only, for example a standby: name the primary server",
    "25P03": "a transaction was idle for too long",
    "26000": "a pooler lost a prepared statement",
    "28": "it refuses the user or the password",
    "3D000": "there is no database of this name",
    "42501": "the user lacks a permission",
    "42703": _OTHER_VERSION,
    "42P01": _OTHER_VERSION,
    "53100": "its disk is full",
    "53200": "the server has no memory left",
    "53300": "it has too many connections: raise max_connections, or use a pooler",
    "55P03": "another transaction held a lock for too long",
    "57014": "a statement took too long",
    "57P": _STARTING,
    # PostgreSQL refuses a connection without a SQLSTATE.
    "authentication failed": "it refuses the user or the password",
    "no password supplied": "it refuses the user or the password",
    "no pg_hba.conf entry": "pg_hba.conf does not allow this user or address",
    "too many clients": "it has too many connections: raise max_connections, or use a pooler",
    "connection slots": "it has too many connections: raise max_connections, or use a pooler",
    "startup parameter": "a pooler refuses a parameter of the address: remove it",
    'role "': "there is no user of this name",
    'database "': "there is no database of this name",
    "starting up": _STARTING,
    "shutting down": _STARTING,
    "resolve host": "there is no server of this name",
    "onnection refused": "no server listens at this address",
    "No such file or directory": "no server listens at this socket",
    "timeout": "the server does not respond",
    # SQLite, https://www.sqlite.org/rescode.html
    "SQLITE_BUSY": "another process held the lock for too long",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_CORRUPT": "the file is damaged: restore a backup",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the file cannot be read or written, or the disk is full",
    "SQLITE_NOTADB": "the file is damaged: restore a backup",
    "SQLITE_READONLY": "the file cannot be written",
}
"""Causes of failures: what the database reports begins with the key or, as a text, contains it."""


def unavailable(error: BaseException) -> StoreUnavailable:
    """Return the exception for *error* of the database, with its cause in words."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None)
    text = "" if code else str(origin)
    causes = (
        why for key, why in _CAUSES.items() if (code.startswith(key) if code else key in text)
    )
    found = StoreUnavailable(next(causes, f"the database reports {code or type(origin).__name__}"))
    found.__cause__ = error
    return found
