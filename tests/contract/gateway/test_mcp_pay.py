"""Paying for a tool by x402 over MCP: terms, payment, receipt, and that each call is charged once."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from libs.common.errors import AppError
from libs.common.messages import analysis
from libs.common.messages.billing import Admitted, Captured, Terms
from libs.common.principal import Principal
from libs.common.subjects import ADMIT, API_KEY_RESOLVE, CAPTURE, CODEC_CANDLES, TERMS
from tests.contract.gateway.edge import Answer, Client, Edge

REQUIRED = {"x402Version": 2, "error": "PAYMENT_REQUIRED", "accepts": [{"scheme": "exact", "amount": "5000"}]}
PAYMENT = {"x402Version": 2, "accepted": {"scheme": "exact"}, "payload": {"signature": "0x"}}
MODERN = "2026-07-28"
RECEIPT = {"success": True, "transaction": "0xabc"}
CANDLES = analysis.Candles(
    header=analysis.Header(sym="BTC/USDT", tf="1h", src="manual", n=1, t0=0, t1=0),
    codec=analysis.Codec(rows="1,2,1,2,5", sax="d", precision=2),
    disclaimer="x",
)


def base64_of(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


async def call(
    client: Client, path: str, meta: dict[str, Any] | None = None, token: str = "", version: str = ""
) -> Answer:
    headers = {"Accept": "application/json, text/event-stream"}
    if version == MODERN:
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "tradewind_candles"}
        name = "io.modelcontextprotocol/"
        meta = {**(meta or {}), f"{name}protocolVersion": MODERN, f"{name}clientCapabilities": {}}
    if version:
        headers["MCP-Protocol-Version"] = version
    params: dict[str, Any] = {
        "name": "tradewind_candles",
        "arguments": {"ticker": "BTC/USDT", "timeframe": "1h"},
        **({"_meta": meta} if meta is not None else {}),
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return await client.post(path, message, token, headers=headers)


def ready(edge: Edge) -> None:
    edge.answer(TERMS, lambda ask: Terms(message="pay", accepts=[{}], header=base64_of(REQUIRED)))
    edge.answer(ADMIT, lambda ask: Admitted(held_micros=5_000, available_micros=0))
    receipt = {"PAYMENT-RESPONSE": base64_of(RECEIPT)}
    edge.answer(CAPTURE, lambda ask: Captured(charged_micros=5_000, available_micros=0, headers=receipt))
    edge.answer(CODEC_CANDLES, lambda ask: CANDLES)


@pytest.mark.parametrize("version", ["", "2025-06-18", "2025-11-25", MODERN])
async def test_an_unpaid_tool_answers_with_the_terms_and_a_paid_one_with_the_receipt(
    at_edge: tuple[Edge, Client], version: str
) -> None:
    edge, client = at_edge
    ready(edge)
    unpaid = (await call(client, "/mcp?pay=x402", version=version)).json["result"]
    assert unpaid["isError"]
    assert unpaid["structuredContent"] == REQUIRED
    assert json.loads(unpaid["content"][0]["text"]) == REQUIRED
    assert edge.heard[ADMIT.name] == []
    paid = (await call(client, "/mcp?pay=x402", {"x402/payment": PAYMENT}, version=version)).json["result"]
    assert not paid["isError"], paid
    assert paid["structuredContent"]["codec"]["rows"] == CANDLES.codec.rows
    assert paid["_meta"]["x402/payment-response"] == RECEIPT
    (admitted,) = edge.heard[ADMIT.name]
    assert json.loads(base64.b64decode(admitted.payment.header)) == PAYMENT
    assert admitted.operation == "POST /v1/candles"
    assert len(edge.heard[CAPTURE.name]) == 1


async def test_without_the_word_a_key_is_needed_whoever_pays(at_edge: tuple[Edge, Client]) -> None:
    edge, client = at_edge
    ready(edge)
    assert (await call(client, "/mcp", {"x402/payment": PAYMENT})).status == 401
    assert edge.heard[ADMIT.name] == []


async def test_a_payment_that_is_none_is_refused_before_anything_is_done(
    at_edge: tuple[Edge, Client],
) -> None:
    edge, client = at_edge
    ready(edge)
    payments: list[Any] = ["text", 5, [], {"x402Version": 2, "payload": "x" * 20_000}]
    for payment in payments:
        said = (await call(client, "/mcp?pay=x402", {"x402/payment": payment})).json["result"]
        assert said["isError"]
        assert said["structuredContent"]["error"] == "INVALID_PARAM"
    assert edge.heard[ADMIT.name] == edge.heard[CODEC_CANDLES.name] == []


class Empty(AppError):
    """As billing refuses a wallet without money."""

    code = "PAYMENT_REQUIRED"
    http_status = 402


async def test_a_key_is_charged_once_a_call_and_an_empty_wallet_is_told_the_terms(
    at_edge: tuple[Edge, Client],
) -> None:
    edge, client = at_edge
    ready(edge)
    holder = Principal(kind="key", jti="key_1", subject="key:key_1", scopes=frozenset({"read"}))
    edge.answer(API_KEY_RESOLVE, lambda ask: holder)
    token = "Bearer tw_live_" + "7" * 32
    said = (await call(client, "/mcp", token=token)).json["result"]
    assert not said["isError"], said
    assert len(edge.heard[ADMIT.name]) == len(edge.heard[CAPTURE.name]) == 1
    assert edge.heard[ADMIT.name][0].wallet == "key:key_1"

    def empty(ask: Any) -> Admitted:
        raise Empty(accepts=[{}], payment_required=base64_of(REQUIRED))

    edge.answer(ADMIT, empty)
    said = (await call(client, "/mcp", token=token)).json["result"]
    assert said["isError"]
    assert said["structuredContent"] == REQUIRED
    assert len(edge.heard[CAPTURE.name]) == 1
