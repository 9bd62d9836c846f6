"""``tradewind up`` with tiny services, real PostgreSQL and NATS. Arguments: FOLDER SERVICES."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from deploy.local.console import Console
from deploy.local.errors import EXIT_REFUSED, StartRefused
from deploy.local.settings import read_settings
from deploy.local.supervisor import Supervisor
from libs.common.clock import SystemClock

TINY_SERVICE = Path(__file__).with_name("tiny_service.py")


async def main(folder: str, services: str) -> None:
    environ = os.environ | {"TRADEWIND_SERVICES": services}
    settings = read_settings(environ, known=services.split(","))
    await Supervisor(
        settings,
        console=Console(),
        clock=SystemClock(),
        environ=environ,
        command_of=lambda service: [sys.executable, str(TINY_SERVICE), service, folder],
        schema=lambda service: service == "alpha",
    ).run()


try:
    asyncio.run(main(*sys.argv[1:3]))
except StartRefused as e:
    print(f"tradewind: {e}", file=sys.stderr)
    sys.exit(EXIT_REFUSED)
