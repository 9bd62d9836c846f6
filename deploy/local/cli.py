"""``tradewind up | status | doctor | import-candles | trace | backup | restore | prepare``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.errors import EXIT_REFUSED, StartRefused

if TYPE_CHECKING:
    from deploy.local.settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script; exits 0 when all went well, 78 when things must be put right first."""
    chosen = parser().parse_args(arguments)
    try:
        sys.exit(chosen.run(chosen))
    except StartRefused as e:
        print(f"tradewind: {e}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
    except KeyboardInterrupt:
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """The command line. Options stand above the environment, the environment above the defaults."""
    root = argparse.ArgumentParser(prog="tradewind", description="A market platform on one machine.")
    commands = root.add_subparsers(required=True, metavar="command")
    up = commands.add_parser("up", help="start the whole stack and watch it until Ctrl-C")
    up.add_argument("--services", help="comma-separated services to run; all without it")
    up.add_argument("--http-port", type=int, help="port of HTTP and WebSocket (8080)")
    up.set_defaults(run=_up)
    status = commands.add_parser("status", help="every process, whether it is ready, where its metrics are")
    status.set_defaults(run=_status)
    doctor = commands.add_parser("doctor", help="examine a stack; says what helps where something is wrong")
    doctor.set_defaults(run=_doctor)
    candles = commands.add_parser("import-candles", help="put the candles of a CSV file into the market")
    candles.add_argument("file", help="CSV: time,open,high,low,close,volume; time in ISO 8601 or Unix s/ms")
    candles.add_argument("--symbol", required=True)
    candles.add_argument("--timeframe", required=True, help="1m 5m 15m 30m 1h 4h 1d 1w 1M")
    candles.set_defaults(run=_import_candles)
    trace = commands.add_parser("trace", help="every logged step of one request or trigger, in order")
    trace.add_argument("trace", help="32 hex digits, a traceparent, or an X-Request-Id")
    trace.set_defaults(run=_trace)
    backup = commands.add_parser("backup", help="write everything a running house knows into one file")
    backup.add_argument("file", help="a file that does not exist yet")
    backup.set_defaults(run=_backup)
    restore = commands.add_parser("restore", help="make a data folder from a backup")
    restore.add_argument("file", help="what tradewind backup wrote")
    restore.set_defaults(run=_restore)
    prepare = commands.add_parser("prepare", help="for containers: keys, then the house; or the exporter")
    prepare.add_argument("what", choices=("keys", "house", "exporter"))
    prepare.add_argument("--folder", default="/run/tradewind", help="where keys stand (/run/tradewind)")
    prepare.add_argument("--postgres", default="postgres:5432", help="host:port, as services find it")
    prepare.add_argument("--nats", default="nats:4222", help="host:port, as services find it")
    prepare.add_argument("--postgres-ca", help="file of the authority that signed PostgreSQL's certificate")
    prepare.add_argument("--nats-ca", help="file of the authority that signed NATS's certificate")
    prepare.add_argument("--port", type=int, default=9100, help="the exporter's port (9100)")
    prepare.add_argument("--nats-monitor", default="http://nats:8222", help="what the exporter asks")
    prepare.set_defaults(run=_prepare)
    for command in (up, status, doctor, candles, trace, backup, restore):
        command.add_argument("--data-dir", help="folder of everything the stack keeps (.data)")
    return root


def _environ(chosen: argparse.Namespace) -> dict[str, str]:
    """The environment with the options of the command line put over it."""
    options = {
        "TRADEWIND_DATA_DIR": chosen.data_dir,
        "TRADEWIND_SERVICES": getattr(chosen, "services", None),
        "TRADEWIND_HTTP_PORT": getattr(chosen, "http_port", None),
    }
    return dict(os.environ) | {name: str(value) for name, value in options.items() if value is not None}


def _settings(chosen: argparse.Namespace) -> Settings:
    from deploy.local.settings import installed_services, read_settings

    return read_settings(_environ(chosen), known=installed_services())


def _up(chosen: argparse.Namespace) -> int:
    from deploy.local.console import Console
    from deploy.local.supervisor import Supervisor
    from libs.common.clock import SystemClock

    environ = _environ(chosen)
    settings = _settings(chosen)

    async def run() -> None:
        await Supervisor(settings, console=Console(), clock=SystemClock(), environ=environ).run()

    asyncio.run(run())
    return 0


def _status(chosen: argparse.Namespace) -> int:
    from deploy.local.status import show_status

    return asyncio.run(show_status(_settings(chosen)))


def _doctor(chosen: argparse.Namespace) -> int:
    from deploy.local.doctor import examine

    return asyncio.run(examine(_settings(chosen)))


def _import_candles(chosen: argparse.Namespace) -> int:
    from deploy.local.console import Console
    from deploy.local.import_candles import import_candles

    return asyncio.run(
        import_candles(
            _settings(chosen),
            Path(chosen.file),
            symbol=chosen.symbol,
            timeframe=chosen.timeframe,
            console=Console(),
        )
    )


def _trace(chosen: argparse.Namespace) -> int:
    from deploy.local.trace import show_trace

    return show_trace(_settings(chosen), chosen.trace)


def _backup(chosen: argparse.Namespace) -> int:
    from deploy.local.backup import back_up
    from libs.common.clock import SystemClock

    return back_up(_settings(chosen), Path(chosen.file).absolute(), SystemClock())


def _restore(chosen: argparse.Namespace) -> int:
    from deploy.local.backup import restore

    return restore(_settings(chosen), Path(chosen.file).absolute())


def _prepare(chosen: argparse.Namespace) -> int:
    from deploy.local.prepare import Hosts, export, make_house, write_keys

    folder = Path(chosen.folder)
    if chosen.what == "house":
        return make_house(folder, os.environ)
    if chosen.what == "exporter":
        return export(folder, chosen.port, chosen.nats_monitor)
    verify = f"?sslmode=verify-full&sslrootcert={chosen.postgres_ca}" if chosen.postgres_ca else ""
    hosts = Hosts(
        postgres=chosen.postgres,
        nats=chosen.nats,
        postgres_options=verify,
        nats_options=f"?ca={chosen.nats_ca}" if chosen.nats_ca else "",
    )
    return write_keys(folder, os.environ, hosts)


if __name__ == "__main__":
    main()
