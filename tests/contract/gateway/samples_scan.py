"""One good request per scan row that becomes a command: path and body."""

from __future__ import annotations

from typing import Any

_CONTEXT = "/api/v1/contexts/ctx_0123456789abcdef0123456789abcdef"
_MONITOR = "/api/v1/monitors/mon_0123456789abcdef0123456789abcdef"
_LIST = "/api/v1/watchlists/wl_0123456789abcdef0123456789abcdef"
_OF_CONTEXT = "/api/v1/contexts/{ctx_id}"

SCAN: dict[str, tuple[str, dict[str, Any] | None]] = {
    "GET /api/v1/scan": ("/api/v1/scan?symbol=EURUSD&tf=1h&patterns=double_top,doji", None),
    "GET /api/v1/patterns": ("/api/v1/patterns", None),
    "GET /api/v1/patterns/{id}": ("/api/v1/patterns/double_top", None),
    "GET /api/v1/patterns/{id}/performance": ("/api/v1/patterns/double_top/performance?tf=1h", None),
    "GET /api/v1/records": ("/api/v1/records?symbol=EURUSD&outcome=win&limit=5", None),
    "GET /api/v1/records/public": ("/api/v1/records/public", None),
    "GET /api/v1/records/recent": ("/api/v1/records/recent", None),
    "GET /api/v1/records/{id}": ("/api/v1/records/rec_0123456789abcdef0123456789abcdef", None),
    "GET /api/v1/watchlists": ("/api/v1/watchlists", None),
    "POST /api/v1/watchlists": ("/api/v1/watchlists", {"symbol": "EURUSD"}),
    "PUT /api/v1/watchlists/{id}": (_LIST, {"name": "Majors"}),
    "DELETE /api/v1/watchlists/{id}": (_LIST, None),
    "GET /api/v1/status": ("/api/v1/status", None),
    "GET /api/v1/capabilities": ("/api/v1/capabilities", None),
    "GET /api/v1/symbols/search": ("/api/v1/symbols/search?query=EUR&limit=3", None),
    "GET /api/v1/symbols/resolve": ("/api/v1/symbols/resolve?symbol=EURUSD", None),
    "GET /api/v1/contexts": ("/api/v1/contexts?symbol=EURUSD&timeframe=1h", None),
    f"GET {_OF_CONTEXT}": (_CONTEXT, None),
    f"GET {_OF_CONTEXT}/inspect": (f"{_CONTEXT}/inspect", None),
    f"GET {_OF_CONTEXT}/inspect/chart": (f"{_CONTEXT}/inspect/chart", None),
    f"GET {_OF_CONTEXT}/chart": (f"{_CONTEXT}/chart", None),
    f"GET {_OF_CONTEXT}/original-chart": (f"{_CONTEXT}/original-chart", None),
    f"GET {_OF_CONTEXT}/manifest": (f"{_CONTEXT}/manifest", None),
    f"GET {_OF_CONTEXT}/ohlcv": (f"{_CONTEXT}/ohlcv?window=wide", None),
    f"POST {_OF_CONTEXT}/conditions": (
        f"{_CONTEXT}/conditions",
        {"condition_id": "price_above_vwap", "parameters": {"window_days": 5}},
    ),
    f"POST {_OF_CONTEXT}/visual-confirmation": (
        f"{_CONTEXT}/visual-confirmation",
        {"observed_visual_code": "ABCDEF", "method": "looked", "observations": "a double top"},
    ),
    "POST /api/v1/monitors": ("/api/v1/monitors", {"name": "Tops", "pattern_filters": ["double_top"]}),
    "GET /api/v1/monitors": ("/api/v1/monitors", None),
    "POST /api/v1/monitors/{id}/pause": (f"{_MONITOR}/pause", {}),
    "POST /api/v1/monitors/{id}/resume": (f"{_MONITOR}/resume", {}),
    "DELETE /api/v1/monitors/{id}": (_MONITOR, None),
    "GET /api/v1/feed": ("/api/v1/feed?limit=5&unread_only=true", None),
    "POST /api/v1/feed/ack": ("/api/v1/feed/ack", {"event_ids": []}),
    "GET /api/v1/usage": ("/api/v1/usage", None),
    "GET /api/v1/timezone": ("/api/v1/timezone", None),
    "PUT /api/v1/timezone": ("/api/v1/timezone", {"timezone": "Europe/Berlin"}),
}
