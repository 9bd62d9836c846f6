"""One good request per row that becomes a command: path and body."""

from __future__ import annotations

from typing import Any

from tests.contract.gateway.samples_billing import BILLING
from tests.contract.gateway.samples_identity import IDENTITY
from tests.contract.gateway.samples_prices import PRICES
from tests.contract.gateway.samples_rules import RULES
from tests.contract.gateway.samples_scan import SCAN
from tests.contract.gateway.samples_signals import SIGNALS
from tests.contract.trading.samples import TRADING

SAMPLES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "POST /sign/up": ("/sign/up", {"name": "Ann", "email": "ann@example.com", "password": "secret-1"}),
    "POST /sign/in": ("/sign/in", {"login": 7, "password": "secret-1"}),
    "GET /sign/check": ("/sign/check", None),
    "POST /sign/refresh": ("/sign/refresh", {"refresh_token": "r"}),
    "POST /sign/out": ("/sign/out", {}),
    "POST /stream/token": ("/stream/token", None),
    "GET /market": ("/market?login=7", None),
    "GET /market/short/list": ("/market/short/list?login=7", None),
    "GET /market/symbol": ("/market/symbol?login=7&symbol=EURUSD", None),
    "GET /quotes/candles": ("/quotes/candles?symbol=EURUSD&from=0&to=99&frame=1H", None),
    "GET /market/watch/list": ("/market/watch/list?prefix=web&login=7", None),
    "POST /market/watch": ("/market/watch", {"symbol": "EURUSD", "login": 7}),
    "PUT /market/watch": ("/market/watch", {"symbol": "EURUSD", "login": 7, "color": "#00ff00"}),
    "DELETE /market/watch": ("/market/watch", {"symbol": "EURUSD", "login": 7}),
    "GET /price_alert/list": ("/price_alert/list?login=7", None),
    "POST /price_alert": (
        "/price_alert",
        {"symbol": "EURUSD", "side": 0, "condition": 2, "repeat_mode": 0, "target_price": 1.1, "login": 7},
    ),
    "PUT /price_alert": ("/price_alert", {"id": 5, "status": 0, "login": 7}),
    "DELETE /price_alert/{id}": ("/price_alert/5?login=7", None),
    "GET /price_alert/logs": ("/price_alert/logs?login=7&limit=10", None),
    "DELETE /price_alert/log/{id}": ("/price_alert/log/5?login=7", None),
    "DELETE /price_alert/logs": ("/price_alert/logs?login=7", None),
    "GET /admin/symbols": ("/admin/symbols", None),
    "PUT /admin/symbols/{symbol}": ("/admin/symbols/BTC%2FUSDT", {"digits": 2}),
    "GET /admin/groups": ("/admin/groups", None),
    "PUT /admin/groups/{group}": ("/admin/groups/vip", {"default_leverage": 200}),
    "POST /admin/users": (
        "/admin/users",
        {
            "group": "demo",
            "name": "Bob",
            "password": "secret-2",
            "leverage": 100,
            "enable": 1,
            "email": "bob@example.com",
        },
    ),
    "POST /admin/quotes": ("/admin/quotes", {"quotes": [{"symbol": "EURUSD", "bid": 1.1, "ask": 1.2}]}),
    "POST /admin/candles": (
        "/admin/candles",
        {"symbol": "EURUSD", "timeframe": "1h", "candles": [[3_600_000, 1, 2, 0.5, 1.5, 10]]},
    ),
    "GET /admin/audit": ("/admin/audit?limit=5", None),
}

NOTIFICATIONS = "/api/v1/notifications"

SAMPLES.update(
    {
        "GET /notify/list": ("/notify/list?login=7&limit=10&offset=0&filter=", None),
        "PUT /notify/read": ("/notify/read", {"login": 7, "ids": [1]}),
        f"GET {NOTIFICATIONS}/preferences": (f"{NOTIFICATIONS}/preferences", None),
        f"PUT {NOTIFICATIONS}/preferences": (f"{NOTIFICATIONS}/preferences", {"email": {"enabled": True}}),
        f"GET {NOTIFICATIONS}/channels": (f"{NOTIFICATIONS}/channels", None),
        f"POST {NOTIFICATIONS}/channels/bind": (
            f"{NOTIFICATIONS}/channels/bind",
            {"channel": "x", "target": "@ada"},
        ),
        f"POST {NOTIFICATIONS}/channels/verify": (f"{NOTIFICATIONS}/channels/verify", {"channel": "x"}),
        f"POST {NOTIFICATIONS}/channels/{{channel}}/rotate": (
            f"{NOTIFICATIONS}/channels/webhook/rotate",
            None,
        ),
        f"DELETE {NOTIFICATIONS}/channels/{{channel}}": (f"{NOTIFICATIONS}/channels/x", None),
        "GET /admin/deadletters": ("/admin/deadletters?limit=5", None),
        "POST /admin/deadletters/{id}/retry": ("/admin/deadletters/delivery-1/retry", None),
    }
)
SAMPLES.update(IDENTITY)
SAMPLES.update(RULES)
SAMPLES.update(SCAN)
PAIR = {"ticker": "BTC/USDT", "timeframe": "4h"}
SAMPLES.update(
    {f"POST /v1/{name}": (f"/v1/{name}", PAIR) for name in ("brief", "delta", "candles", "analogs", "demo")}
)
SAMPLES["POST /v1/scan"] = ("/v1/scan", {"minLift": 0})
SAMPLES["POST /v1/multi"] = ("/v1/multi", {"ticker": "BTC/USDT"})
SAMPLES.update(TRADING)

SAMPLES.update(BILLING)
SAMPLES.update(PRICES)
SAMPLES.update(SIGNALS)
