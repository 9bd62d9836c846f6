"""``tradewind up | status | doctor | import-candles``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from deploy.local.errors import EXIT_REFUSED, StartRefused


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
    for command in (up,):
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


def _up(chosen: argparse.Namespace) -> int:
    import asyncio

    from deploy.local.console import Console
    from deploy.local.settings import installed_services, read_settings
    from deploy.local.supervisor import Supervisor
    from libs.common.clock import SystemClock

    environ = _environ(chosen)
    settings = read_settings(environ, known=installed_services())

    async def run() -> None:
        await Supervisor(settings, console=Console(), clock=SystemClock(), environ=environ).run()

    asyncio.run(run())
    return 0
