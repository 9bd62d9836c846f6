"""Good requests of the signals surface and of staff's registry of assets."""

from __future__ import annotations

from typing import Any

BASE = "/ai-signal"

SIGNALS: dict[str, tuple[str, dict[str, Any] | None]] = {
    f"POST {BASE}/details": (
        f"{BASE}/details?limit=5&offset=0",
        {"chain": ["ethereum"], "sentiment": "bullish", "search": "50 %", "from": 1_700_000_000},
    ),
    f"GET {BASE}/details/{{id}}": (f"{BASE}/details/00000000-0000-5000-8000-000000000000", None),
    f"POST {BASE}/texts": (f"{BASE}/texts", {"texts": []}),
    f"GET {BASE}/chains": (f"{BASE}/chains?search=e", None),
    f"GET {BASE}/tags": (f"{BASE}/tags", None),
    f"GET {BASE}/narratives": (f"{BASE}/narratives", None),
    f"GET {BASE}/performance": (f"{BASE}/performance?timeframe=1h", None),
    f"GET {BASE}/bullishness": (f"{BASE}/bullishness", None),
    "GET /admin/assets": ("/admin/assets", None),
    "PUT /admin/assets": (
        "/admin/assets",
        {"assets": [{"cmcId": 5, "name": "Coin", "symbol": "COIN", "market": "BTC/USDT"}]},
    ),
    "POST /admin/signals/backfill": ("/admin/signals/backfill", {"timeframe": "1h", "cmcId": 1}),
}
