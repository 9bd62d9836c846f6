"""The sample graph a stack with the synthetic feed starts with: invented pools whose reserves follow the
house's own quotes. Pure: the same quotes make the same reserves.

Every token is worth a factor times a quote. Pools are deep or shallow by their line below, and each is off
the fair ratio by a fraction of a per cent that turns with the price of bitcoin, so that paths disagree a
little, as real ones do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from services.pricing.tokens import Pool, Token

ANCHOR_ID = "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.sbtc-token"
CHARISMA_ID = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.charisma-token"
STACKS_ID = ".stx"
SYMBOLS = ("BTCUSD", "ETHUSD", "SOLUSD", "XAUUSD")  # the anchor's first
_OWNER = "SP2TRADEW1NDSAMPLE000000000000000000000000"
_NOTE = "Sample data: reserves are invented and follow the synthetic market."

# id, symbol, name, decimals, quote ("" is the dollar), factor
_TOKENS = (
    (ANCHOR_ID, "sBTC", "Stacks Bitcoin", 8, "BTCUSD", 1.0),
    (CHARISMA_ID, "CHA", "Charisma", 6, "BTCUSD", 4.7e-6),
    (STACKS_ID, "STX", "Stacks", 6, "SOLUSD", 0.0105),
    (f"{_OWNER}.aeusdc", "aeUSDC", "Bridged dollar", 6, "", 1.0),
    (f"{_OWNER}.susdh", "sUSDh", "Staked dollar", 8, "", 1.083),
    (f"{_OWNER}.seth", "sETH", "Bridged ether", 8, "ETHUSD", 1.0),
    (f"{_OWNER}.aurum", "AURUM", "A gram of gold", 6, "XAUUSD", 0.0321507),
    (f"{_OWNER}.corgi", "CORGI", "Corgi", 6, "SOLUSD", 6.3e-6),
    (f"{_OWNER}.heron", "HERON", "Heron", 8, "ETHUSD", 1.9e-5),
    (f"{_OWNER}.ledger", "LEDGE", "Ledge", 6, "SOLUSD", 0.0021),
    (f"{_OWNER}.pebble", "PEBBLE", "Pebble", 3, "BTCUSD", 1.1e-10),
    (f"{_OWNER}.cha-sbtc-lp", "CHA-sBTC", "Share of the CHA/sBTC pool", 6, "", 0.0),
)
_LP = f"{_OWNER}.cha-sbtc-lp"
_LP_POOL = "sample.cha-sbtc"

# symbols of both sides, depth of one side in USD
_POOLS = (
    ("CHA", "sBTC", 420_000),
    ("STX", "sBTC", 1_900_000),
    ("aeUSDC", "sBTC", 1_400_000),
    ("sETH", "sBTC", 900_000),
    ("CHA", "STX", 310_000),
    ("CHA", "aeUSDC", 95_000),
    ("STX", "aeUSDC", 1_200_000),
    ("sUSDh", "aeUSDC", 260_000),
    ("sUSDh", "STX", 70_000),
    ("AURUM", "aeUSDC", 140_000),
    ("AURUM", "sBTC", 60_000),
    ("CORGI", "STX", 180_000),
    ("CORGI", "CHA", 42_000),
    ("CORGI", "sBTC", 9_000),
    ("HERON", "sETH", 75_000),
    ("HERON", "STX", 33_000),
    ("LEDGE", "STX", 22_000),
    ("LEDGE", "CHA", 6_500),
    ("PEBBLE", "CHA", 4_200),
    ("PEBBLE", "sBTC", 2_600),
    ("sETH", "aeUSDC", 510_000),
)


def tokens() -> list[Token]:
    """The sample tokens."""
    return [
        Token(
            id_,
            symbol,
            name,
            decimals,
            description=_NOTE,
            lp_pool=_LP_POOL if id_ == _LP else "",
            lp_supply=10**15 if id_ == _LP else 0,
        )
        for id_, symbol, name, decimals, _, _ in _TOKENS
    ]


def pools(quotes: Mapping[str, float], at_ms: int) -> list[Pool]:
    """The sample pools at these quotes (symbol → USD); those whose tokens have no quote are left out."""
    decimals = {symbol: (id_, digits) for id_, symbol, _, digits, _, _ in _TOKENS}
    worth = {
        symbol: factor * (quotes[quote] if quote else 1.0)
        for _, symbol, _, _, quote, factor in _TOKENS
        if factor and (not quote or quotes.get(quote, 0.0) > 0)
    }
    turn = math.log(quotes.get("BTCUSD") or 1.0) * 97.0
    made = []
    for number, (a, b, depth) in enumerate(_POOLS):
        if a not in worth or b not in worth:
            continue
        off = 1.0 + 0.003 * math.sin(turn + 2.1 * number)
        (id_a, digits_a), (id_b, digits_b) = decimals[a], decimals[b]
        made.append(
            Pool(
                f"sample.{a.lower()}-{b.lower()}",
                id_a,
                id_b,
                int(depth / worth[a] * 10**digits_a),
                int(depth / worth[b] * off * 10**digits_b),
                0.003,
                at_ms,
            )
        )
    return made
