"""The x402 package's own facilitator over a chain that lives in memory, behind HTTP: no network is needed.

The chain knows one token, USDC as EIP-3009 has it: balances, used nonces, transfers with a receipt.
Signatures are real, money is not. It stands beside the house, which knows it by its address alone, as it
knows any other (``TRADEWIND_X402_FACILITATOR_URL``). ``python -m deploy.demo.facilitator [port]`` serves it
alone, to try payments by hand; the tests pay with it, too.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from eth_account import Account
from x402 import x402Facilitator
from x402.mechanisms.evm.exact import register_exact_evm_facilitator
from x402.mechanisms.evm.types import TransactionReceipt
from x402.schemas import PaymentPayload, PaymentRequirements
from x402.schemas.v1 import PaymentPayloadV1, PaymentRequirementsV1

TRANSFERRED = (
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"  # Transfer(address,address,uint256)
)
NETWORKS = ["eip155:8453", "eip155:84532"]
TOKENS = {"0x833589fcd6edb6e08f4c7c32d4f71b54bda02913", "0x036cbd53842c5426634e7929541ec2318f3dcf7e"}
MANY = 10**12


@dataclass
class Chain:
    """A chain of one token; every address starts with ``opening`` of it."""

    opening: int = MANY
    balances: dict[str, int] = field(default_factory=dict)
    used: set[tuple[str, bytes]] = field(default_factory=set)
    receipts: dict[str, TransactionReceipt] = field(default_factory=dict)

    def get_addresses(self) -> list[str]:
        return ["0x" + "f" * 40]

    def get_code(self, address: str) -> bytes:
        return b"\x60" if address.lower() in TOKENS else b""

    def get_chain_id(self) -> int:
        return 8453

    def get_balance(self, address: str, token_address: str) -> int:
        return self.balances.get(address.lower(), self.opening)

    def read_contract(self, address: str, abi: Any, function_name: str, *args: Any) -> Any:
        if function_name != "transferWithAuthorization":
            raise RuntimeError(f"execution reverted: {function_name} is not here")
        self._check(args)
        return None

    def write_contract(
        self, address: str, abi: Any, function_name: str, *args: Any, data_suffix: str | None = None
    ) -> str:
        self._check(args)
        payer, receiver, value, _, _, nonce = args[:6]
        self.used.add((payer.lower(), nonce))
        self.balances[payer.lower()] = self.get_balance(payer, address) - value
        self.balances[receiver.lower()] = self.balances.get(receiver.lower(), 0) + value
        hash_ = "0x" + secrets.token_hex(32)
        log = {
            "address": address,
            "topics": [TRANSFERRED, _topic(payer), _topic(receiver)],
            "data": f"0x{value:064x}",
        }
        self.receipts[hash_] = TransactionReceipt(1, len(self.receipts) + 1, hash_, [log])
        return hash_

    def send_transaction(self, to: str, data: bytes) -> str:
        raise RuntimeError("execution reverted: nothing is deployed here")

    def wait_for_transaction_receipt(self, tx_hash: str) -> TransactionReceipt:
        return self.receipts[tx_hash]

    def verify_typed_data(self, *args: Any, **kwargs: Any) -> bool:
        raise NotImplementedError  # the package recovers the signer itself

    def _check(self, args: tuple[Any, ...]) -> None:
        payer, _, value, _, _, nonce = args[:6]
        if (payer.lower(), nonce) in self.used:
            raise RuntimeError("execution reverted: FiatTokenV2: authorization is used or canceled")
        if self.get_balance(payer, "") < value:
            raise RuntimeError("execution reverted: ERC20: transfer amount exceeds balance")


@dataclass
class FacilitatorServer:
    """Where it is and what it did. The next settlements' answers get lost when ``lose`` says so."""

    url: str
    chain: Chain
    calls: list[str] = field(default_factory=list)
    lose: Callable[[], str] = field(default=lambda: "")  # "before" or "after" the settlement; "" gives it


@asynccontextmanager
async def open_facilitator(port: int = 0) -> AsyncIterator[FacilitatorServer]:
    """The facilitator on loopback."""
    chain = Chain()
    facilitator = x402Facilitator()
    register_exact_evm_facilitator(facilitator, chain, NETWORKS)
    server = FacilitatorServer("", chain)

    async def verify(request: web.Request) -> web.Response:
        server.calls.append("verify")
        payload, requirements = _read(await request.json())
        said = await facilitator.verify(payload, requirements)
        return web.json_response(said.model_dump(by_alias=True, exclude_none=True))

    async def settle(request: web.Request) -> web.Response:
        server.calls.append("settle")
        payload, requirements = _read(await request.json())
        lost = server.lose()
        if lost == "before":
            return web.Response(status=502, text="upstream")
        said = await facilitator.settle(payload, requirements)
        if lost == "after":
            return web.Response(status=504, text="timeout")
        return web.json_response(said.model_dump(by_alias=True, exclude_none=True))

    app = web.Application()
    app.add_routes([web.post("/verify", verify), web.post("/settle", settle)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def _read(body: dict[str, Any]) -> tuple[Any, Any]:
    if body["x402Version"] == 1:
        return (
            PaymentPayloadV1.model_validate(body["paymentPayload"]),
            PaymentRequirementsV1.model_validate(body["paymentRequirements"]),
        )
    return (
        PaymentPayload.model_validate(body["paymentPayload"]),
        PaymentRequirements.model_validate(body["paymentRequirements"]),
    )


def _topic(address: str) -> str:
    return "0x" + address.lower().removeprefix("0x").rjust(64, "0")


def new_account() -> Any:
    """A wallet with a key of its own."""
    return Account.create()


async def _serve(port: int) -> None:
    async with open_facilitator(port) as server:
        print(f"facilitator on {server.url}; every wallet has {MANY // 10**6} USDC", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 4021))
