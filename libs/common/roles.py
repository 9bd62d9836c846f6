"""One schema and one role per service in one database; a role sees its own schema only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from libs.common.db import Connection


def role_name(database: str, service: str) -> str:
    """Roles belong to the whole server, so the database's name is part of theirs."""
    return f"{database}_{service}"


async def ensure_roles(
    admin_dsn: str, services: Sequence[str], passwords: Mapping[str, str]
) -> dict[str, str]:
    """Make each service's schema and role, once or again; the DSN of each service.

    Where the given role may not make roles (a managed database), every service uses the given one:
    the schemas still keep them apart by name, but nothing enforces it.
    """
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        database: str = await connection.fetchval("SELECT current_database()")
        may_make_roles: bool = await connection.fetchval(
            "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )
        # Two stacks starting at once on one server must not race for the same names.
        await connection.execute("SELECT pg_advisory_lock(hashtext('tradewind set-up'))")
        dsns: dict[str, str] = {}
        for service in services:
            if may_make_roles:
                role = role_name(database, service)
                is_new = await _ensure_role(connection, role, passwords[service])
                await _ensure_schema(connection, service, role, grant_existing=is_new)
                dsns[service] = _with_user(admin_dsn, role, passwords[service])
            else:
                await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{service}"')
                dsns[service] = admin_dsn
        return dsns
    finally:
        await connection.close()


async def _ensure_role(connection: Connection, role: str, password: str) -> bool:
    known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if known else "CREATE"
    literal = password.replace("'", "''")
    await connection.execute(f"{verb} ROLE \"{role}\" LOGIN PASSWORD '{literal}'")
    return not known


async def _ensure_schema(connection: Connection, schema: str, role: str, *, grant_existing: bool) -> None:
    await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    await connection.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO "{role}"')
    tables, sequences = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE", "USAGE, SELECT, UPDATE"
    if grant_existing:
        # Only for a role that is new here: a right that a migration took away stays away.
        await connection.execute(f'GRANT {tables} ON ALL TABLES IN SCHEMA "{schema}" TO "{role}"')
        await connection.execute(f'GRANT {sequences} ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{role}"')
    defaults = f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT'
    await connection.execute(f'{defaults} {tables} ON TABLES TO "{role}"')
    await connection.execute(f'{defaults} {sequences} ON SEQUENCES TO "{role}"')


def _with_user(dsn: str, user: str, password: str) -> str:
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password)}@{host}"))
