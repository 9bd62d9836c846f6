"""``tradewind doctor``: is this stack sound? One line per check, and what to do about each that fails.

A check is an async function of the ``Patient`` in ``CHECKS``: it returns what it found, or raises ``Unsound``
with what is wrong and what helps. It only looks.
"""

from __future__ import annotations

import asyncio
import shutil
import stat
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import probe
from deploy.local.files import FREE_BYTES_MIN
from deploy.local.services import has_schema
from deploy.local.settings import Settings
from deploy.local.stack_state import StackState, admin_dsn, cli_bus_url, read_state
from libs.common.clock import SystemClock
from libs.common.db import NO_ANSWER, load_queries
from libs.common.service import VERSION

_QUERIES = load_queries(Path(__file__).parent / "sql/doctor.sql")
_OUTBOX_AGE_S_MAX = 60.0
_CLOCK_S_MAX = 1.0
_BEHIND_MAX = 1000
LOOK_AGAIN_S = 2.0
_START = "start the stack (make run) and ask again"


class Unsound(Exception):
    """What is wrong and what helps, in one line."""


@dataclass(frozen=True, slots=True)
class Patient:
    """The stack under examination."""

    settings: Settings
    state: StackState

    @property
    def schemas(self) -> tuple[str, ...]:
        """The services of the stack that keep state."""
        return tuple(child.service for child in self.state.services if has_schema(child.service))


async def check_data_folder(patient: Patient) -> str:
    """The data folder is there, and its secrets are nobody else's."""
    data = patient.state.data
    if not data.is_dir():
        raise Unsound(f"{data} does not exist: {_START}")
    for name in ("secrets.json", "secret.key"):
        path = data / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Unsound(f"{path} can be read by others: chmod 600 {path}")
    return str(data)


async def check_disk(patient: Patient) -> str:
    """There is room to write."""
    free = shutil.disk_usage(patient.state.data).free
    text = f"{free // 1024**2} MB free"
    if free < FREE_BYTES_MIN:
        raise Unsound(f"{text}, {FREE_BYTES_MIN // 1024**2} MB are needed: make room")
    return text


async def check_ports(patient: Patient) -> str:
    """Every process answers on the port of ``ports.json``."""
    state = patient.state
    if not state.services:
        raise Unsound(f"no stack ever ran here: {_START}")
    answers = await asyncio.gather(*(probe.get(child.port or 0, "/livez") for child in state.services))
    silent = [c.name for c, answer in zip(state.services, answers, strict=True) if answer.status != 200]
    if silent:
        raise Unsound(f"{', '.join(silent)} not there: see logs in {state.data / 'logs'}, or {_START}")
    return f"{len(answers)} processes answer"


async def check_services(patient: Patient) -> str:
    """Every service says that it can work."""
    services = patient.state.services
    answers = await asyncio.gather(*(probe.get(child.port or 0, "/readyz") for child in services))
    found = {c.name: probe.problems(answer) for c, answer in zip(services, answers, strict=True)}
    broken = [f"{name} ({text})" for name, text in found.items() if text]
    if broken:
        raise Unsound(f"not ready: {', '.join(broken)}")
    return f"{len(found)} ready"


async def check_postgres(patient: Patient) -> str:
    """PostgreSQL takes the administrator's connection."""
    rows = await _ask(patient, "server_version")
    return f"version {rows[0][0]}"


async def check_migrations(patient: Patient) -> str:
    """Every service's schema is exactly what this program's files make."""
    from libs.common.migrate import migrations_of

    count = 0
    for service in patient.schemas:
        rows = await _ask(patient, "applied_migrations", service)
        applied = {row["name"]: row["checksum"] for row in rows}
        wanted = {m.name: m.checksum for m in migrations_of(service)}
        for name in sorted(applied.keys() ^ wanted.keys()):
            why = "is not applied" if name in wanted else "is of another version of the program"
            raise Unsound(f"{service}: {name} {why}: start the stack with the program you mean")
        for name in sorted(wanted):
            if applied[name] != wanted[name]:
                raise Unsound(f"{service}: {name} was changed after it was applied: restore the file")
        count += len(applied)
    return f"{count} applied in {len(patient.schemas)} schemas"


async def check_outboxes(patient: Patient) -> str:
    """No fact waits long to be published."""
    waiting = 0
    for service in patient.schemas:
        row = (await _ask(patient, "outbox_age", service))[0]
        if row["age_s"] > _OUTBOX_AGE_S_MAX:
            raise Unsound(
                f"{service}: {row['waiting']} facts wait, the oldest since {row['age_s']:.0f} s: "
                f"does {service} run, and is NATS there?"
            )
        waiting += row["waiting"]
    return f"{waiting} facts wait to be published"


async def check_streams(patient: Patient) -> str:
    """NATS answers, and has every stream."""
    import nats
    import nats.errors
    import nats.js.errors

    from libs.common.streams import STREAMS

    url = cli_bus_url(patient.settings, patient.state)
    if url is None:
        raise Unsound(f"the address of NATS is not known: set NATS_URL as for the stack, or {_START}")
    why = await probe.bus_connects(url)
    if why:
        raise Unsound(f"NATS does not answer ({why}): {_START}")
    try:
        connection = await nats.connect(
            url, inbox_prefix=b"_INBOX_cli", allow_reconnect=False, connect_timeout=5, error_cb=_quiet
        )
    except (OSError, TimeoutError, nats.errors.Error) as e:
        raise Unsound(f"NATS does not answer ({e}): {_START}") from e
    try:
        manager = connection.jsm()
        for stream in STREAMS:
            try:
                await manager.stream_info(stream.name)
            except nats.js.errors.NotFoundError:
                raise Unsound(f"the stream {stream.name} is missing: start the stack again") from None
            except (TimeoutError, nats.errors.Error) as e:
                raise Unsound(f"the stream {stream.name} can't be read ({e})") from e
    finally:
        await connection.close()
    return f"{len(STREAMS)} streams"


async def check_audit(patient: Patient) -> str:
    """The chain of what staff did is whole: no row was edited, removed or moved."""
    from libs.common.bus_nats import connect
    from libs.common.errors import AppError
    from libs.common.messages.auth import AuditVerify
    from libs.common.subjects import AUDIT_VERIFY

    if "auth" not in {child.service for child in patient.state.services}:
        return "this stack runs without auth"
    url = cli_bus_url(patient.settings, patient.state)
    why = "its address is not known" if url is None else await probe.bus_connects(url)
    if url is None or why:
        raise Unsound(f"NATS does not answer ({why}): {_START}")
    bus = await connect(url, "cli")
    try:
        checked = await bus.request(AUDIT_VERIFY, AuditVerify())
    except AppError as e:
        raise Unsound(f"auth does not answer ({e}): {_START}") from e
    finally:
        await bus.close()
    if checked.broken_id:
        raise Unsound(
            f"row {checked.broken_id} breaks the chain ({checked.reason}): compare auth.audit with a backup"
        )
    return f"{checked.rows} rows in an unbroken chain"


async def check_ledger(patient: Patient) -> str:
    """Account money is whole: all postings sum to zero, and every balance is what its orders brought."""
    if "trading" not in patient.schemas:
        return "this stack runs without trading"
    for row in await _ask(patient, "ledger_sums", "trading"):
        raise Unsound(
            f"postings in {row['currency']} sum to {row['amount_minor']} minor units, not to zero: "
            "compare trading.posting with a backup"
        )
    wrong = await _ask(patient, "ledger_differences", "trading")
    if wrong:
        first = wrong[0]
        raise Unsound(
            f"{len(wrong)} accounts differ from their orders, login {first['login']} by "
            f"{first['balance_minor']} minor units of balance and {first['credit_minor']} of credit: "
            "compare trading.trade and trading.posting with a backup"
        )
    size = (await _ask(patient, "ledger_size", "trading"))[0]
    return f"{size['entries']} entries over {size['accounts']} accounts, nothing missing"


async def check_billing(patient: Patient) -> str:
    """Billing's postings sum to zero, and its wallets, holds and charges are what they say."""
    if "billing" not in patient.schemas:
        return "this stack runs without billing"
    sums = await _ask(patient, "billing_sums")
    wallets = await _ask(patient, "billing_wallets")
    charges = await _ask(patient, "billing_charges")
    wrong = [
        *(f"all {row['currency']} postings sum to {row['amount_micros']}" for row in sums),
        *(
            f"wallet {row['name']} keeps {row['balance_micros']} and holds {row['held_micros']},"
            f" posted are {row['posted']}, open holds {row['held']}"
            for row in wallets
        ),
        *(
            f"entry {row['id']} posted {row['amount_micros']} for calls of {row['charged']}"
            for row in charges
        ),
    ]
    if wrong:
        raise Unsound(f"{'; '.join(wrong[:3])} ({len(wrong)} in all): compare billing with a backup")
    row = (await _ask(patient, "billing_size"))[0]
    return f"{row['postings']} postings sum to zero, {row['wallets']} wallets agree"


async def check_clocks(patient: Patient) -> str:
    """PostgreSQL's clock is ours: tokens, candles and swaps of one house must mean one time."""
    clock = SystemClock()
    before = clock.now_ms()
    row = (await _ask(patient, "clock"))[0]
    apart_s = max(before - row["now_ms"], row["now_ms"] - clock.now_ms(), 0.0) / 1000
    if apart_s > _CLOCK_S_MAX:
        raise Unsound(f"PostgreSQL's clock is {apart_s:.1f} s away from this machine's: set them by NTP")
    return f"tradewind {VERSION} on Python {sys.version.split()[0]} and PostgreSQL have one time"


async def check_consumers(patient: Patient) -> str:
    """No service is far behind on what it hears, save those that are catching up."""
    if patient.state.nats_monitor is None:
        return "the NATS of NATS_URL is not asked"
    behind = await _behind(patient.state.nats_monitor)
    if not behind:
        return "no service of this stack consumes anything"
    slow = {name: count for name, count in behind.items() if count > _BEHIND_MAX}
    if slow:  # after a start the history is heard: what gets less is no fault
        await asyncio.sleep(LOOK_AGAIN_S)
        behind = await _behind(patient.state.nats_monitor)
        stuck = {name: behind.get(name, 0) for name in slow if behind.get(name, 0) >= slow[name]}
        if stuck:
            told = ", ".join(f"{name} ({count})" for name, count in sorted(stuck.items()))
            raise Unsound(f"behind and not catching up: {told}: is the service ready? see tradewind status")
    slowest = max(behind.values(), default=0)
    catching_up = f"; catching up: {', '.join(sorted(slow))}" if slow else ""
    return f"{len(behind)} consumers, the slowest {slowest} messages behind{catching_up}"


async def _behind(monitor: int) -> dict[str, int]:
    """Consumer → messages it has not been given yet."""
    from deploy.exporter.nats import nats_metrics

    found = await nats_metrics(f"http://127.0.0.1:{monitor}")
    if not found or all(metric.name == "tradewind_nats_up" for metric in found):
        raise Unsound(f"nats-server does not answer its monitor: {_START}")
    return {
        sample.labels["consumer"]: int(sample.value)
        for metric in found
        if metric.name == "tradewind_nats_consumer_pending_messages"
        for sample in metric.samples
    }


async def _quiet(error: Exception) -> None:
    """What the driver would print is in the line of the check."""


async def _ask(patient: Patient, query: str, service: str = "") -> Sequence[Any]:
    import asyncpg

    dsn = admin_dsn(patient.settings, patient.state)
    if dsn is None:
        raise Unsound(
            f"the address of PostgreSQL is not known: set DATABASE_URL as for the stack, or {_START}"
        )
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return list(await connection.fetch(_QUERIES[query].replace("{schema}", service)))
        finally:
            await connection.close()
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise Unsound(f"{service} has no schema yet: {_START}") from None
    except NO_ANSWER as e:
        raise Unsound(f"PostgreSQL can't be used ({' '.join(str(e).split()) or type(e).__name__})") from e


CHECKS: tuple[tuple[str, Callable[[Patient], Awaitable[str]]], ...] = (
    ("data folder", check_data_folder),
    ("disk", check_disk),
    ("processes", check_ports),
    ("services", check_services),
    ("postgres", check_postgres),
    ("migrations", check_migrations),
    ("outboxes", check_outboxes),
    ("streams", check_streams),
    ("audit", check_audit),
    ("billing", check_billing),
    ("ledger", check_ledger),
    ("clocks", check_clocks),
    ("consumers", check_consumers),
)


async def examine(settings: Settings) -> int:
    """Print a line per check; 0 when all are good, 1 otherwise."""
    patient = Patient(settings, read_state(settings.data))
    failed = 0
    for name, check in CHECKS:
        try:
            print(f"ok    {name}: {await check(patient)}")
        except Unsound as e:
            failed += 1
            print(f"FAIL  {name}: {e}")
        except OSError as e:
            failed += 1
            print(f"FAIL  {name}: {e.strerror or e}")
    return 1 if failed else 0
