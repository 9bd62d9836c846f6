"""``make demo-x402``: a stranger pays by x402, offline: 402, pay, 200, and the lines of the ledger.

Three parties, each a process of its own: the house as anybody runs it (``tradewind up`` in a folder of its
own), a facilitator with a chain in memory (``facilitator.py``), and this program, a client with a wallet that
was made a moment ago. The wallet signs with the published ``x402`` package; the house is told the
facilitator's address and knows nothing else of the demonstration.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from x402 import x402Client
from x402.mechanisms.evm.exact import register_exact_evm_client
from x402.schemas import PaymentRequired
from x402.schemas.v1 import PaymentRequiredV1

from deploy.demo.facilitator import new_account
from deploy.local.settings import installed_services, read_settings
from deploy.local.stack_state import admin_dsn, read_state
from libs.common.clock import SystemClock
from libs.common.db import load_queries

ROOT = Path(__file__).resolve().parents[2]
QUERIES = load_queries(Path(__file__).parent / "ledger.sql")
SERVICES = "auth,market,scanner,billing,gateway"
PATIENCE_S = 180.0
POLL_S = 0.2
BRIEF = {"ticker": "BTC/USDT", "timeframe": "4h"}
HEADERS = {1: "X-PAYMENT", 2: "PAYMENT-SIGNATURE"}
RECEIPTS = {1: "X-PAYMENT-RESPONSE", 2: "PAYMENT-RESPONSE"}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, read."""

    status: int
    headers: Any
    body: Any


class Stranger:
    """A client with a fresh wallet and no key."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.wallet = new_account()
        self._client = x402Client().set_spend_controls(False)
        register_exact_evm_client(self._client, self.wallet)
        self.key = ""

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Said:
        """One request."""
        own = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        async with self._session.request(
            method, self._url + path, json=body, headers={**own, **(headers or {})}
        ) as response:
            text = await response.read()
            return Said(response.status, response.headers, json.loads(text) if text else None)

    async def sign(self, refused: Said, version: int) -> dict[str, str]:
        """The header that pays what a 402 asks for."""
        terms: Any
        if version == 1:
            terms = PaymentRequiredV1.model_validate({"x402Version": 1, "accepts": refused.body["accepts"]})
        else:
            terms = PaymentRequired.model_validate(unpacked(refused.headers["PAYMENT-REQUIRED"]))
        made = await self._client.create_payment_payload(terms)
        packed = base64.b64encode(made.model_dump_json(by_alias=True, exclude_none=True).encode()).decode()
        return {HEADERS[version]: packed}


def unpacked(header: str) -> Any:
    """The JSON a header of x402 carries."""
    return json.loads(base64.b64decode(header))


def free_port() -> int:
    """A port nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(name: str, log: Path, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program beside this one; it is stopped in order at the end."""
    foreign = ("TRADEWIND_", "DATABASE_URL", "NATS_URL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | settings
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    print(f"  {name}: process {running.pid}, says what it does in {log}")
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        running.wait()


async def until_ready(session: aiohttp.ClientSession, url: str, house: subprocess.Popen[bytes]) -> None:
    """Wait for the house; RuntimeError when it ended."""
    end = SystemClock().monotonic_s() + PATIENCE_S
    while SystemClock().monotonic_s() < end:
        if house.poll() is not None:
            raise RuntimeError("the house did not start")
        try:
            async with session.get(f"{url}/readyz") as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(POLL_S)
    raise RuntimeError("the house is not ready yet")


async def pay_for_a_call(stranger: Stranger) -> None:
    """402, a signature, 200; and that the same payment buys nothing more."""
    refused = await stranger.ask("POST", "/v1/brief", BRIEF)
    terms = unpacked(refused.headers["PAYMENT-REQUIRED"])["accepts"][0]
    print(f"\n1. POST /v1/brief without a key: {refused.status} {refused.body['error']}")
    print(f"   {refused.body['message']}")
    print(f"   {terms['amount']} micros of {terms['asset']} on {terms['network']} to {terms['payTo']}")
    payment = await stranger.sign(refused, 2)
    print(f"2. The wallet {stranger.wallet.address} signs an EIP-3009 authorization.")
    paid = await stranger.ask("POST", "/v1/brief", BRIEF, payment)
    while paid.status == 422:  # the history is still being filled: a failed call is not paid for
        await asyncio.sleep(POLL_S)
        paid = await stranger.ask("POST", "/v1/brief", BRIEF, payment)
    expect(paid, 200)
    receipt = unpacked(paid.headers[RECEIPTS[2]])
    print(f"3. The same with PAYMENT-SIGNATURE: {paid.status}, transaction {receipt['transaction']}")
    print(f"   {paid.body['analysis']['nl']}")
    again = await stranger.ask("POST", "/v1/brief", BRIEF, payment)
    expect(again, 402)
    print(f"4. The same payment once more: {again.status} {again.body['message']}")


async def pay_in(stranger: Stranger) -> None:
    """A top-up without a key, in version 1; then a call on credit."""
    refused = await stranger.ask("POST", "/v1/topup", {"amountMicros": 1_000_000})
    expect(refused, 402)
    payment = await stranger.sign(refused, 1)
    made = await stranger.ask("POST", "/v1/topup", {"amountMicros": 1_000_000}, payment)
    expect(made, 200)
    stranger.key = made.body["key"]
    print(
        f"\n5. POST /v1/topup with X-PAYMENT (version 1), no key: {made.status}, a key {stranger.key[:12]}…"
    )
    print(f"   credited {made.body['creditedMicros']} micros, balance {made.body['balanceMicros']}")
    done = await stranger.ask("POST", "/v1/brief", BRIEF)
    expect(done, 200)
    balance = (await stranger.ask("GET", "/v1/balance")).body["balanceMicros"]
    charged = done.headers["X-Credits-Charged"]
    print(
        f"6. POST /v1/brief with that key: {done.status}, {charged} credit charged, balance {balance} micros"
    )
    invoice = (await stranger.ask("GET", "/v1/invoices")).body["invoices"]
    print(f"7. GET /v1/invoices: {json.dumps(invoice)}")


async def show_ledger(data: Path) -> None:
    """What billing has booked, from its own tables."""
    settings = read_settings({"TRADEWIND_DATA_DIR": str(data)}, known=installed_services())
    dsn = admin_dsn(settings, read_state(data))
    db = await asyncpg.connect(dsn)
    try:
        lines = await db.fetch(QUERIES["lines"])
        total = await db.fetchval(QUERIES["total"])
    finally:
        await db.close()
    print(f"\n8. The ledger, in micros of USD:\n   {'entry':>5}  {'reason':<12} {'amount':>12}  account")
    for line in lines:
        print(f"   {line['id']:>5}  {line['reason']:<12} {line['amount_micros']:>12}  {line['account']}")
    print(f"   sum of all postings: {total}")
    if total != 0 or not lines:
        raise RuntimeError("the ledger does not add up")


def expect(said: Said, status: int) -> None:
    """RuntimeError for another answer."""
    if said.status != status:
        raise RuntimeError(f"answered {said.status} instead of {status}: {said.body}")


async def walk(url: str, data: Path, house: subprocess.Popen[bytes]) -> None:
    """Everything a stranger does."""
    async with aiohttp.ClientSession() as session:
        await until_ready(session, url, house)
        stranger = Stranger(session, url)
        await pay_for_a_call(stranger)
        await pay_in(stranger)
    await show_ledger(data)


def main() -> None:
    """The demonstration, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tradewind-demo-", dir=os.environ.get("TMPDIR")) as folder:
        place = Path(folder)
        port, till = free_port(), free_port()
        print("Starting two processes:")
        settings = {
            "TRADEWIND_DATA_DIR": str(place / "data"),
            "TRADEWIND_HTTP_PORT": str(port),
            "TRADEWIND_SERVICES": SERVICES,
            "TRADEWIND_X402_PAY_TO": "0x" + secrets.token_hex(20),
            "TRADEWIND_X402_FACILITATOR_URL": f"http://127.0.0.1:{till}",
        }
        with (
            process("facilitator", place / "facilitator.log", "deploy.demo.facilitator", str(till)),
            process("house", place / "house.log", "deploy.local.cli", "up", **settings) as house,
        ):
            asyncio.run(walk(f"http://127.0.0.1:{port}", place / "data", house))
        print("\nBoth have ended; nothing is left of it.")


if __name__ == "__main__":
    main()
