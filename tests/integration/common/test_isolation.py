"""A service that was broken into can do no more than its service: every forbidden word on the bus and every
foreign row of the database is tried, and refused.

What is forbidden is worked out here a second time, from who owns and who calls; the servers must agree.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Sequence

import asyncpg
import pytest

from deploy.local.settings import START_ORDER
from libs.common.permissions import TICK_READERS, nats_users
from libs.common.streams import OWNERS, all_consumers
from libs.common.subjects import COMMANDS, PUSH_STREAM, SUBJECTS, again_of, health_of
from tests.conftest import SERVICES as SCHEMAS
from tests.servers import NatsServer, open_nats

USERS = (*START_ORDER, "bootstrap", "cli")
DEAD = "DEADLETTER"
_KEY = re.compile(r"\{\w+\}")
_REFUSED = re.compile(r"Permissions Violation for (Publish|Subscription) to \"([^\"]+)\"")
JETSTREAM = (
    "STREAM.CREATE.{s}",
    "STREAM.UPDATE.{s}",
    "STREAM.DELETE.{s}",
    "STREAM.PURGE.{s}",
    "STREAM.MSG.DELETE.{s}",
    "STREAM.MSG.GET.{s}",
    "DIRECT.GET.{s}",
    "CONSUMER.CREATE.{s}",
    "CONSUMER.CREATE.{s}.spy",
    "CONSUMER.DURABLE.CREATE.{s}.spy",
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server with the users of a whole house."""
    users = nats_users(START_ORDER, 1)
    with open_nats(tmp_path_factory.mktemp("isolated"), users=users) as server:
        yield server


def said() -> dict[str, set[str]]:
    """Every fact, push, tick and dead letter with its owner, and what nobody of the house may say."""
    allowed: dict[str, set[str]] = {}
    for subject in SUBJECTS:
        allowed[_KEY.sub("x", subject.template)] = {subject.owner}
    for service in START_ORDER:
        allowed[f"{service}.dead.x"] = {service}
        allowed[f"_INBOX_{service}.x"] = set()
    allowed |= {"$SYS.REQ.SERVER.PING": set(), "$JS.API.ACCOUNT.PURGE.x": {"bootstrap"}}
    return allowed


def asked() -> dict[str, set[str]]:
    """Every command with those who may call it."""
    allowed = {command.name: set(command.callers) - {command.owner} for command in COMMANDS}
    for service in START_ORDER:
        allowed[health_of(service).name] = {"gateway", "cli"}
        allowed[again_of(service).name] = {"notifier"}
    return allowed


def stored() -> dict[str, set[str]]:
    """Every stream's and consumer's API with those who may use it; bootstrap may use all of it."""
    consumers = list(all_consumers(1))
    readers = {stream: {c.service for c in consumers if c.stream == stream} for stream in OWNERS_OF}
    allowed: dict[str, set[str]] = {}
    for stream, owners in OWNERS_OF.items():
        for form in JETSTREAM:
            who = {"bootstrap"}
            if form == "DIRECT.GET.{s}":
                who |= owners | readers[stream]
            if form == "STREAM.MSG.DELETE.{s}" and stream == DEAD:
                who |= {"notifier"}
            allowed["$JS.API." + form.format(s=stream)] = who
    for consumer in consumers:
        place = f"{consumer.stream}.{consumer.durable}"
        allowed[f"$JS.API.CONSUMER.MSG.NEXT.{place}"] = {"bootstrap", consumer.service}
        allowed[f"$JS.API.CONSUMER.DELETE.{place}"] = {"bootstrap"}
        allowed[f"$JS.ACK.{place}.1.1.1.1.1"] = {consumer.service} if consumer.ack else set()
    return allowed


OWNERS_OF: dict[str, set[str]] = {
    **{s.stream: {o.owner for o in SUBJECTS if o.stream == s.stream} for s in SUBJECTS if s.stream},
    DEAD: {"notifier", "gateway"},
}
OWNERS_OF[PUSH_STREAM] |= {"gateway"}


def heard() -> dict[str, set[str]]:
    """Every subscription worth having, with those who may have it."""
    allowed: dict[str, set[str]] = {">": set(), "*.>": set(), "$JS.>": set(), "$SYS.>": set()}
    for user in USERS:
        allowed[f"_INBOX_{user}.>"] = {user}
    for service in START_ORDER:
        allowed[f"{service}.cmd.>"] = {service}
        allowed[f"{service}.evt.>"] = allowed[f"{service}.push.>"] = set()
        allowed[f"{service}.tick.>"] = set(TICK_READERS.get(service, ()))
    for command in COMMANDS:
        allowed[command.name] = {command.owner}
    return allowed


async def refused_to(server: NatsServer, user: str, verbs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """What the server refuses of ``verbs`` (``Publish`` or ``Subscription``, subject), all in one breath."""
    credentials = server.url_for(user).partition("://")[2].rpartition("@")[0]
    name, _, password = credentials.partition(":")
    host, _, port = server.url.partition("://")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    hello = json.dumps({"user": name, "pass": password, "verbose": False, "pedantic": False})
    said = [f"CONNECT {hello}\r\n"]
    for number, (verb, subject) in enumerate(verbs):
        said.append(f"PUB {subject} 0\r\n\r\n" if verb == "Publish" else f"SUB {subject} {number}\r\n")
    writer.write("".join([*said, "PING\r\n"]).encode())
    found = set()
    async with asyncio.timeout(30):
        while (line := (await reader.readline()).decode()) != "PONG\r\n":
            assert line, f"{user} was sent away"
            if refusal := _REFUSED.search(line):
                found.add((refusal[1], refusal[2]))
    writer.close()
    return found


@pytest.mark.parametrize("user", USERS)
async def test_every_forbidden_word_on_the_bus_is_refused_and_no_other(
    guarded: NatsServer, user: str
) -> None:
    tries = {("Publish", subject): who for subject, who in {**said(), **asked(), **stored()}.items()}
    tries |= {("Subscription", subject): who for subject, who in heard().items()}
    forbidden = {one for one, who in tries.items() if user not in who}
    assert await refused_to(guarded, user, tries) == forbidden
    assert len(forbidden) > 200


async def test_nobody_without_a_password_gets_in(guarded: NatsServer) -> None:
    reader, writer = await asyncio.open_connection(*guarded.url.partition("://")[2].split(":"))
    writer.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
    assert b"Authorization Violation" in await reader.read()


def test_every_stream_has_an_owner_here() -> None:
    assert {o for owners in OWNERS_OF.values() for o in owners} <= set(START_ORDER) | {"gateway"}
    assert set(OWNERS) <= set(START_ORDER)


# ── the database ──────────────────────────────────────────────────────────────────────────────────

# One round trip: what of ``tries`` was not refused, as text. Each is rolled back by its own block.
TRIED = """
DO $$
DECLARE try text; done text[] := '{}';
BEGIN
  FOREACH try IN ARRAY string_to_array(current_setting('test.tries'), E'\\x01') LOOP
    BEGIN
      EXECUTE try;
      done := done || try;
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
  END LOOP;
  PERFORM set_config('test.done', array_to_string(done, E'\\x01'), false);
END $$
"""
SERVER = (
    "CREATE ROLE thief",
    "CREATE SCHEMA thief",
    "ALTER ROLE CURRENT_USER CREATEDB",
    "CREATE TABLE public.thief (a int)",
    "SET log_statement = 'all'",
    "SELECT rolpassword FROM pg_authid LIMIT 1",
    "SELECT pg_read_file('PG_VERSION')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/thief'",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
)


def thefts(service: str, tables: Sequence[tuple[str, str]], roles: Sequence[str]) -> list[str]:
    """Every way into a foreign table, into another role, and out of the database."""
    tries = [*SERVER, *(f'SET ROLE "{role}"' for role in roles)]
    for schema in sorted({schema for schema, _ in tables} - {service}):
        tries.append(f'CREATE TABLE "{schema}".thief (a int)')
    for schema, table in tables:
        place = f'"{schema}"."{table}"'
        if schema == service:
            tries += [f"DROP TABLE {place}", f"ALTER TABLE {place} ADD COLUMN thief int"]
            continue
        tries += [f"SELECT 1 FROM {place} LIMIT 1", f"INSERT INTO {place} DEFAULT VALUES"]
        tries += [f"DELETE FROM {place}", f"TRUNCATE {place}", f"LOCK TABLE {place} IN ACCESS SHARE MODE"]
    return tries


@pytest.mark.parametrize("service", SCHEMAS)
async def test_every_foreign_table_is_closed(dsns: dict[str, str], service: str) -> None:
    admin = await asyncpg.connect(dsns["admin"])
    tables = [
        tuple(row)
        for row in await admin.fetch(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY($1)", list(SCHEMAS)
        )
    ]
    mine = await asyncpg.connect(dsns[service])
    me = await mine.fetchval("SELECT current_user")
    others = await admin.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname <> $1 AND rolcanlogin AND rolname !~ '^pg_'", me
    )
    tries = thefts(service, tables, [row["rolname"] for row in others])
    assert {schema for schema, _ in tables} == set(SCHEMAS)
    await mine.execute("SELECT set_config('test.tries', $1, false)", "\x01".join(tries))
    await mine.execute(TRIED)
    assert await mine.fetchval("SELECT current_setting('test.done')") == ""
    assert await mine.fetchval(f'SELECT count(*) >= 0 FROM "{service}".outbox'), "its own it may read"
    await mine.close()
    await admin.close()
