"""An invoice's page prints on one sheet, in a real browser."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.contract.billing.conftest import Till
from tests.contract.billing.paying import Payer, pay
from tests.contract.billing.test_metered_rows import key_of
from tests.tools import debian_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def test_an_invoice_prints_on_one_sheet(till: Till, tmp_path: Path) -> None:
    caller = await key_of(till.town)
    answer, _ = await pay(caller, Payer(), "POST", "/v1/topup", {"amountMicros": 12_340_000}, 2)
    assert answer.status == 200
    (invoice,) = (await caller.done("GET", "/v1/invoices"))["invoices"]
    page = await caller.call("GET", f"/v1/invoices/{invoice['number']}/page")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    source, printed = tmp_path / "invoice.html", tmp_path / "invoice.pdf"
    source.write_bytes(page.body)
    browser = await asyncio.create_subprocess_exec(
        await asyncio.to_thread(debian_tool, "chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--print-to-pdf={printed}",
        source.as_uri(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(120):
        await browser.wait()
    made = printed.read_bytes()
    assert made.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", made)) == 1
    width, height = map(float, re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", made)[0])
    assert (round(width), round(height)) == (595, 842)  # A4
    for text in (str(invoice["number"]), "12.34", invoice["payment_id"], "paid"):
        assert text.encode() in page.body
