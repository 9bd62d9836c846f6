"""What the stack prints when it is ready: where to look and what to try next."""

from __future__ import annotations

from deploy.local.settings import Settings

# Flush left, so that it can be pasted as it stands.
_TRY = """\
Tradewind is ready: {origin}   (docs {origin}/docs, data in {data})

Sign up and keep the token:

TOKEN=$(curl -s {origin}/sign/up -H 'Content-Type: application/json' \\
  -d '{{"name":"Ada","email":"ada@example.com","password":"correct horse"}}' \\
  | {python} -c 'import json, sys; print(json.load(sys.stdin)["__token"])')

Watch quotes on the stream:

{python} - "$TOKEN" <<'END'
import asyncio, sys, aiohttp
async def watch():
    async with aiohttp.ClientSession() as http, http.ws_connect("{stream}/ws") as ws:
        await ws.send_json({{"authorization": sys.argv[1]}})
        await ws.send_json({{"event": "subscribe", "data": ["EURUSD", "BTCUSD"]}})
        async for frame in ws:
            print(frame.data)
asyncio.run(watch())
END

See a market's structure in a browser: {origin}/try

"""
_END = "Other commands: {tradewind} status, {tradewind} doctor. Ctrl-C stops everything in order."


def welcome(settings: Settings, *, scripts: str, admin_password: str | None) -> str:
    """The text; ``scripts`` is the folder of the environment's programs as a person would type it."""
    end = _END.format(tradewind=f"{scripts}/tradewind")
    if "gateway" not in settings.services:
        return f"Running without a gateway: {', '.join(settings.services)}.\n\n" + end
    text = _TRY.format(
        origin=settings.origin,
        stream=settings.origin.replace("http", "ws", 1),
        data=settings.data,
        python=f"{scripts}/python",
    )
    if admin_password:
        text += (
            "Staff login 1 (admin) of a database that had none yet, shown this once and kept nowhere:\n\n"
            f"  password {admin_password}\n\n"
        )
    return text + end
