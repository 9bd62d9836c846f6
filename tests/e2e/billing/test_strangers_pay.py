"""The published x402 clients for JavaScript pay a metered call: they know nothing of us but its address."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.facilitator import new_account
from tests.contract.billing.conftest import PAIR, Till
from tests.tools import npm_packages

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
PACKAGES = ("node@22", "@x402/fetch@2.27.0", "@x402/evm@2.27.0", "x402-fetch@1.2.0", "viem@2.48.11")
SCRIPT = Path(__file__).with_name("pay.mjs")


async def pay(version: int, url: str, key: str) -> Any:
    """What the client got for its money."""
    home = await asyncio.to_thread(npm_packages, *PACKAGES)
    script = home / SCRIPT.name  # beside the packages it imports
    shutil.copy(SCRIPT, script)
    process = await asyncio.create_subprocess_exec(
        str(home / "node_modules/.bin/node"),
        str(script),
        str(version),
        url,
        key,
        json.dumps(PAIR),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        said, trouble = await process.communicate()
    assert process.returncode == 0, trouble.decode()[-2000:]
    return json.loads(said)


@pytest.mark.parametrize("version", [2, 1])
async def test_a_published_client_pays_a_call(till: Till, version: int) -> None:
    account = new_account()
    key = "0x" + account.key.hex().removeprefix("0x")
    said = await pay(version, f"{till.house.url}/v1/brief", key)
    assert said["status"] == 200 and said["body"]["header"]["sym"] == "BTC/USDT"
    assert said["receipt"]["success"] is True
    assert till.facilitator.chain.balances[account.address.lower()] == 10**12 - 10_000
