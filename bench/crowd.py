"""A crowd that signs in all at once, in a process of its own: it must not hold up whoever measures."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import uvloop

from bench.children import answer_lines, read_line, write_line


async def main() -> None:
    """Rage once per line asked: ``{count}``."""
    config = read_line()
    write_line({"ready": True})
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, local_addr=(config["address"], 0))
    ) as session:

        async def sign_in(person: dict[str, Any]) -> int:
            async with session.post(f"{config['url']}/sign/in", json=person) as response:
                await response.read()
                return response.status

        async def answer(asked: Any) -> dict[str, Any]:
            count = asked["count"]
            people = config["people"]
            statuses = await asyncio.gather(*(sign_in(people[n % len(people)]) for n in range(count)))
            return {"signed_in": statuses.count(200)}

        await answer_lines(answer)


if __name__ == "__main__":
    uvloop.run(main())
