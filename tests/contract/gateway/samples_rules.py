"""One good request per row of alert rules: path and body."""

from __future__ import annotations

from typing import Any

RULE: dict[str, Any] = {
    "symbol": "EURUSD",
    "timeframe": "15m",
    "when": {
        "type": "all",
        "of": [
            {"type": "rsi", "op": "below", "value": 30, "hysteresis": 5},
            {
                "type": "any",
                "of": [
                    {"type": "price", "op": "crosses_above", "value": 1.1},
                    {"type": "pattern", "direction": "bullish", "within": 3},
                ],
            },
        ],
    },
    "login": 7,
}

RULES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "GET /alerts/rules": ("/alerts/rules?login=7", None),
    "POST /alerts/rules": ("/alerts/rules", RULE),
    "POST /alerts/rules/test": ("/alerts/rules/test", {**RULE, "days": 3}),
    "GET /alerts/rules/{id}": ("/alerts/rules/5?login=7", None),
    "PUT /alerts/rules/{id}": ("/alerts/rules/5", {**RULE, "enabled": False}),
    "DELETE /alerts/rules/{id}": ("/alerts/rules/5?login=7", None),
    "GET /alerts/rules/{id}/hits": ("/alerts/rules/5/hits?login=7", None),
}
