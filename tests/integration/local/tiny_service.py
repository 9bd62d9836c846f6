"""A service of a few lines for the supervisor's tests: probes, one log line, an orderly stop.

``tiny_service.py NAME FOLDER``: appends what happens to it to ``FOLDER/NAME.events``. With
``FOLDER/NAME.refuse`` it says that its configuration is wrong, with ``FOLDER/NAME.crash`` it ends with a
traceback.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

NAME, FOLDER = sys.argv[1], Path(sys.argv[2])


def note(event: str) -> None:
    with (FOLDER / f"{NAME}.events").open("a") as events:
        events.write(f"{event}\n")
    with (FOLDER / "all.events").open("a") as events:
        events.write(f"{NAME} {event}\n")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b'{"ready":true,"problems":[]}'
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(answer, "127.0.0.1", int(os.environ["TRADEWIND_METRICS_PORT"]))
    note(f"started {os.getpid()}")
    print(json.dumps({"event": f"{NAME} is up", "level": "warning", "service": NAME}), file=sys.stderr)
    await stop.wait()
    server.close()
    note("stopped")


if (FOLDER / f"{NAME}.refuse").exists():
    print(f"{NAME}: TRADEWIND_FEED can't be used: no such feed", file=sys.stderr)
    sys.exit(78)
if (FOLDER / f"{NAME}.crash").exists():
    note("crashed")
    raise RuntimeError("the tiny service was told to crash")
(FOLDER / f"{NAME}.environ").write_text(json.dumps(dict(os.environ)))
asyncio.run(main())
