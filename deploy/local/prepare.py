"""``tradewind prepare keys | house | exporter``: what containers need before and beside the services.

One secret makes every password: each is an HMAC of it under the user's name, so nothing but that secret has
to be kept, and no service can work out another's. ``keys`` writes, below a folder, ``nats/nats.conf`` and per
service ``database_url``, ``nats_url`` and the secrets told to it, each readable by the services' user alone.
``house`` then makes roles, schemas, streams and consumers. Both may run again at any time.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from deploy.local.errors import StartRefused
from deploy.local.nats import EmbeddedNats
from deploy.local.postgres import DATABASE, SUPERUSER
from deploy.local.services import has_schema
from deploy.local.settings import START_ORDER
from libs.common.config import load
from libs.common.errors import ConfigInvalid
from libs.common.permissions import nats_users

SERVICE_UID = 10001  # the user of the image
NATS_PORT, NATS_MONITOR_PORT = 4222, 8222
_SECRET_MIN = 32


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    secret_key: str
    gateway_processes: int = 1


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where PostgreSQL and NATS will be found, and what is added to their addresses (TLS)."""

    postgres: str = "postgres:5432"
    nats: str = "nats:4222"
    postgres_options: str = ""
    nats_options: str = ""


def password_of(secret: str, kind: str, user: str) -> str:
    """The password of a user of PostgreSQL (``kind`` postgres) or NATS (``nats``)."""
    return hmac.new(secret.encode(), f"{kind}:{user}".encode(), hashlib.sha256).hexdigest()


def write_keys(folder: Path, environ: Mapping[str, str], hosts: Hosts) -> int:
    """Everything that has to stand in files before a server or service starts."""
    given = _given(environ)
    users = nats_users(START_ORDER, given.gateway_processes)
    passwords = {user: password_of(given.secret_key, "nats", user) for user in users}
    nats = EmbeddedNats(
        folder / "nats",
        port=NATS_PORT,
        monitor_port=NATS_MONITOR_PORT,
        log=folder / "unused",
        users=users,
        passwords=passwords,
    )
    nats.write_configuration(listen="0.0.0.0", store=Path("/data"), log=None)  # noqa: S104
    _give(folder / "nats" / "nats.conf")
    _write(folder / "postgres" / "password", password_of(given.secret_key, "postgres", SUPERUSER))
    for name in (*START_ORDER, "bootstrap"):
        _write(folder / name / "nats_url", _nats_url(hosts, name, passwords[name]))
    for name in (*filter(has_schema, START_ORDER), "bootstrap"):
        user = SUPERUSER if name == "bootstrap" else f"{DATABASE}_{name}"
        password = password_of(given.secret_key, "postgres", user)
        _write(folder / name / "database_url", _database_url(hosts, user, password))
    # Auth seals its signing keys with a key of its own: it never learns the secret of all passwords.
    _write(folder / "auth" / "secret_key", password_of(given.secret_key, "seal", "auth"))
    print(f"keys of {len(START_ORDER)} services are in {folder}")
    return 0


def make_house(folder: Path, environ: Mapping[str, str]) -> int:
    """Roles, schemas, migrations, streams and consumers, on servers that run."""
    from libs.common.migrate import migrate_all
    from libs.common.roles import ensure_roles
    from libs.common.streams import ensure_streams

    given = _given(environ)
    schemas = [name for name in START_ORDER if has_schema(name)]
    passwords = {name: password_of(given.secret_key, "postgres", f"{DATABASE}_{name}") for name in schemas}
    admin = (folder / "bootstrap" / "database_url").read_text()
    bus = (folder / "bootstrap" / "nats_url").read_text()

    async def make() -> None:
        await ensure_roles(admin, schemas, passwords)
        await migrate_all(admin, schemas, print)
        await ensure_streams(bus, START_ORDER, given.gateway_processes)

    asyncio.run(make())
    print("the house is ready for its services")
    return 0


def export(folder: Path, port: int, monitor: str) -> int:
    """Serve the exporter until stopped."""
    from deploy.exporter.nats import nats_metrics
    from deploy.exporter.postgres import PostgresMetrics
    from deploy.exporter.server import Exporter, Source

    dsn = (folder / "bootstrap" / "database_url").read_text()

    async def serve() -> None:
        sources: list[Source] = [PostgresMetrics(dsn), lambda: nats_metrics(monitor)]
        exporter = Exporter(port, sources, host="0.0.0.0")  # noqa: S104
        await exporter.start()
        print(f"the exporter listens on {exporter.port}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())
    return 0


def _given(environ: Mapping[str, str]) -> _Given:
    try:
        given = load(_Given, environ)
    except ConfigInvalid as e:
        raise StartRefused(str(e)) from e
    if len(given.secret_key) < _SECRET_MIN:
        raise StartRefused(
            f"TRADEWIND_SECRET_KEY is shorter than {_SECRET_MIN} characters: openssl rand -hex 32"
        )
    return given


def _nats_url(hosts: Hosts, user: str, password: str) -> str:
    scheme = "tls" if hosts.nats_options else "nats"
    return f"{scheme}://{user}:{password}@{hosts.nats}{hosts.nats_options}"


def _database_url(hosts: Hosts, user: str, password: str) -> str:
    login = f"{quote(user)}:{password}"
    return f"postgresql://{login}@{hosts.postgres}/{DATABASE}{hosts.postgres_options}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replacement = path.with_name(f".{path.name}.new")
    descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    replacement.replace(path)
    _give(path)


def _give(path: Path) -> None:
    """Hand a file and its folder to the services' user, where we may."""
    if os.geteuid() == 0:
        os.chown(path, SERVICE_UID, SERVICE_UID)
        os.chown(path.parent, SERVICE_UID, SERVICE_UID)
    path.parent.chmod(0o500 if os.geteuid() == 0 else 0o700)
