"""Good requests of the prices surface, and a small graph that makes them good on running services."""

from __future__ import annotations

from typing import Any

ANCHOR = "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4.sbtc-token"
TOKEN = "SP2ZNGJ85ENDY6QRHQ5P2D4FXKGZWCKTB2T0Z55KS.charisma-token"
BASE = "/api/v1/prices"

GRAPH: dict[str, Any] = {
    "tokens": [
        {"tokenId": ANCHOR, "symbol": "sBTC", "name": "Stacks Bitcoin", "decimals": 8},
        {
            "tokenId": TOKEN,
            "symbol": "CHA",
            "name": "Charisma",
            "decimals": 6,
            "image": "https://x.example/c.png",
        },
        {"tokenId": ".stx", "symbol": "STX", "name": "Stacks", "decimals": 6},
        {"tokenId": "SP1.usdc", "symbol": "USDC", "name": "Dollar", "decimals": 6},
    ],
    "pools": [
        {
            "poolId": "cha-sbtc",
            "tokenA": TOKEN,
            "tokenB": ANCHOR,
            "reserveA": 1_000_000_000_000,
            "reserveB": 500_000_000,
            "fee": 0.003,
        },
        {
            "poolId": "cha-stx",
            "tokenA": TOKEN,
            "tokenB": ".stx",
            "reserveA": "1000000000000",
            "reserveB": "300000000000",
        },
        {
            "poolId": "stx-sbtc",
            "tokenA": ".stx",
            "tokenB": ANCHOR,
            "reserveA": 600_000_000_000,
            "reserveB": 1_000_000_000,
        },
        {
            "poolId": "usdc-sbtc",
            "tokenA": "SP1.usdc",
            "tokenB": ANCHOR,
            "reserveA": 1_000_000_000_000,
            "reserveB": 1_000_000_000,
        },
    ],
    "anchorTokenId": ANCHOR,
    "btcPrices": [
        {"source": "coingecko", "price": 100_000, "priority": 1},
        {"source": "kraken", "price": 100_300, "priority": 2},
    ],
}

PRICES: dict[str, tuple[str, dict[str, Any] | None]] = {
    f"GET {BASE}": (f"{BASE}?limit=5&minConfidence=0.1&symbols=CHA,sBTC&details=true", None),
    f"POST {BASE}/batch": (f"{BASE}/batch", {"ids": [TOKEN]}),
    f"GET {BASE}/btc": (f"{BASE}/btc?health=true", None),
    f"GET {BASE}/health": (f"{BASE}/health", None),
    "GET /api/health": ("/api/health", None),
    "GET /api/health/cache": ("/api/health/cache", None),
    "GET /api/health/btc-oracle": ("/api/health/btc-oracle", None),
    f"GET {BASE}/{{tokenId}}": (f"{BASE}/{TOKEN}?explain=true", None),
    f"GET {BASE}/{{tokenId}}/history": (f"{BASE}/{TOKEN}/history?interval=1m", None),
    f"GET {BASE}/{{tokenId}}/quote": (f"{BASE}/{TOKEN}/quote?sizeUsd=1000&side=sell", None),
    f"GET {BASE}/{{tokenId}}/liquidity": (f"{BASE}/{TOKEN}/liquidity", None),
    "PUT /admin/pools": ("/admin/pools", GRAPH),
}
