"""PostgreSQL over TLS: ``sslmode=verify-full`` in ``DATABASE_URL`` takes the named server only.

The embedded server is built without TLS (it listens on loopback only), so this is Debian's.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.ports import choose_ports
from deploy.local.postgres import SUPERUSER
from deploy.local.privileges import Way, find_way
from deploy.local.processes import wait_until
from libs.common.db import open_database
from libs.common.roles import ensure_roles
from tests.certificates import write_certificate
from tests.tools import debian_tool

pytestmark = pytest.mark.e2e  # it borrows Debian's PostgreSQL, which only root may install
PASSWORD = "of the administrator"


def debian_way(folder: Path) -> Way:
    """Debian's programs, run as the embedded ones are."""
    debian_tool("pg_ctlcluster", "postgresql")
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/postgres")).parent
    return dataclasses.replace(find_way(folder / "data", stack_id=f"tls-{os.getpid()}"), programs=programs)


def run(way: Way, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """One of PostgreSQL's programs, as the user it must be."""
    owner = way.owner
    return subprocess.Popen(
        way.command(program, *arguments),
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A PostgreSQL that takes nothing but TLS: its administrator's DSN, and its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    mine = write_certificate(folder, "server", "127.0.0.1")
    way = debian_way(folder)
    (folder / "password").write_text(PASSWORD)
    way.give(folder / "password")
    made = run(
        way,
        "initdb",
        *("-D", str(way.data), "-U", SUPERUSER, "--auth=scram-sha-256", "--locale=C", "--encoding=UTF8"),
        *(f"--pwfile={folder / 'password'}", "--no-sync", "--no-instructions"),
    )
    assert made.wait(timeout=120) == 0
    for name in ("server.crt", "server.key"):
        shutil.copy(folder / name, way.data / name)
        (way.data / name).chmod(0o600)
        way.give(way.data / name)
    (way.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    port = choose_ports(["postgres"], seed=str(folder))["postgres"]
    settings = {"port": port, "ssl": "on", "fsync": "off", "listen_addresses": "127.0.0.1"}
    options = [f"--{name}={value}" for name, value in (settings | {"unix_socket_directories": ""}).items()]
    process = run(way, "postgres", "-D", str(way.data), *options)
    try:
        pid = way.data / "postmaster.pid"
        assert wait_until(lambda: pid.exists() and pid.read_text().strip().endswith("ready"), seconds=60)
        yield f"postgresql://{SUPERUSER}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/postgres", mine
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(way.data, ignore_errors=True)


async def test_a_service_works_over_tls_with_whom_it_was_told_to(server: tuple[str, Path]) -> None:
    dsn, mine = server
    over_tls = f"{dsn}?sslmode=verify-full&sslrootcert={mine}"
    dsns = await ensure_roles(over_tls, ["market"], {"market": "secret"})
    async with open_database(dsns["market"], application="test") as database:
        async with database.transaction() as tx:
            row = await tx.fetchrow(
                "SELECT ssl, current_user AS me FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            )
            assert (row["ssl"], row["me"]) == (True, "postgres_market")
        assert await database.problem() is None


async def test_another_certificate_or_no_tls_is_refused(server: tuple[str, Path], tmp_path: Path) -> None:
    dsn, _ = server
    other = write_certificate(tmp_path, "other", "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(f"{dsn}?sslmode=verify-full&sslrootcert={other}")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(f"{dsn}?sslmode=disable")
