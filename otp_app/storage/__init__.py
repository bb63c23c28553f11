"""The storage adapters: the domain's stores, limiter and audit on SQLite or PostgreSQL."""
