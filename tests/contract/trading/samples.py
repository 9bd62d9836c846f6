"""One good request per row about orders and account money."""

from __future__ import annotations

from typing import Any

_OPEN = {"cmd": 0, "volume": 1, "symbol": "EURUSD", "sl": 0, "tp": 0, "login": 7}
_PENDING = {"cmd": 2, "volume": 1, "symbol": "EURUSD", "open_price": 1.0}
_MNG = {"order": 5, "comment": "checked", "login": 7}

TRADING: dict[str, tuple[str, dict[str, Any] | None]] = {
    "GET /account/me": ("/account/me?login=7", None),
    "GET /account/balance": ("/account/balance?login=7", None),
    "GET /balances/list": ("/balances/list", {"logins": [7]}),
    "POST /trade/open": ("/trade/open", _OPEN),
    "POST /trade/open/pending": ("/trade/open/pending", {**_OPEN, "cmd": 2, "open_price": 1.0}),
    "DELETE /trade/close": ("/trade/close", {"order": 5, "login": 7}),
    "DELETE /trade/close/by": ("/trade/close/by", {"order": 5, "order_by": 6, "login": 7}),
    "DELETE /trade/close/group": ("/trade/close/group", {"type": 0, "login": 7}),
    "DELETE /trade/cancel": ("/trade/cancel", {"order": 5, "login": 7}),
    "DELETE /trade/cancel/group": ("/trade/cancel/group", {"login": 7}),
    "PUT /trade/modify": ("/trade/modify", {"order": 5, "sl": 1.0, "tp": 0, "login": 7}),
    "PUT /trade/modify/open": ("/trade/modify/open", {"order": 5, "sl": 1.0, "login": 7}),
    "PUT /trade/modify/pending": ("/trade/modify/pending", {"order": 5, "open_price": 1.01, "login": 7}),
    "GET /trades": ("/trades?login=7&limit=10&offset=0&tradeType=0", None),
    "GET /trades/history/login": ("/trades/history/login?login=7&from=0&to=99", None),
    "POST /admin/balance": ("/admin/balance", {"cmd": 6, "amount": 10, "comment": "gift", "login": 7}),
    "POST /admin/balance/in": ("/admin/balance/in", {"amount": 10, "login": 7}),
    "POST /admin/balance/out": ("/admin/balance/out", {"amount": -10, "login": 7}),
    "POST /admin/credit/in": ("/admin/credit/in", {"amount": 10, "login": 7}),
    "POST /admin/credit/out": ("/admin/credit/out", {"amount": -1, "comment": "back", "login": 7}),
    "POST /admin/trade/open": ("/admin/trade/open", _OPEN),
    "POST /admin/trade/open/sync": ("/admin/trade/open/sync", _OPEN),
    "POST /admin/trade/close": ("/admin/trade/close", {"order": 5, "login": 7}),
    "POST /admin/trade/close/sync": ("/admin/trade/close/sync", {"order": 5, "login": 7}),
    **{
        f"PUT /admin/trade{kind}{sync}": (f"/admin/trade{kind}{sync}", _MNG)
        for kind in ("", "/open", "/close", "/pending")
        for sync in ("", "/sync")
    },
    "GET /admin/swap": (
        "/admin/swap?login=7&cmd=0&symbol=EURUSD&volume=1&open_price=1.1&open_time=1000&close_time=90000",
        None,
    ),
    "POST /trade/check": ("/trade/check", _OPEN),
    "PUT /trade/trail": ("/trade/trail", {"order": 5, "distance": 0.01, "login": 7}),
    "POST /trade/open/linked": (
        "/trade/open/linked",
        {"then": [_PENDING, {**_PENDING, "cmd": 4, "open_price": 1.3}], "one_cancels_other": 1, "login": 7},
    ),
    "GET /account/limits": ("/account/limits?login=7", None),
    "PUT /account/limits": ("/account/limits", {"max_open_volume": 0, "login": 7}),
    "PUT /account/halt": ("/account/halt", {"on": 0, "login": 7}),
    "PUT /trade/note": ("/trade/note", {"order": 5, "note": "why", "login": 7}),
    "GET /trade/notes": ("/trade/notes?login=7", None),
    "GET /trade/fills": ("/trade/fills?login=7&order=5", None),
    "PUT /admin/users/{login}/halt": ("/admin/users/7/halt", {"on": 0}),
    "GET /admin/halt": ("/admin/halt", None),
    "PUT /admin/halt": ("/admin/halt", {"on": 0}),
}
