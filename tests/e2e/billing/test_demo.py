"""The demonstration of x402 runs to its end, and shows what it promises."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.house import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_a_stranger_pays_offline_and_the_ledger_shows_it() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.demo.x402",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(240):
        said, trouble = await process.communicate()
    text = said.decode()
    assert process.returncode == 0, (text, trouble.decode()[-2000:])
    for line in (
        "without a key: 402 PAYMENT_REQUIRED",
        "with PAYMENT-SIGNATURE: 200, transaction 0x",
        "The same payment once more: 402",
        "credited 1000000 micros",
        "balance 990000 micros",
        "call_paid           10000  revenue",
        "sum of all postings: 0",
    ):
        assert line in text, text
