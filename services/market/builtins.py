"""The instruments and the group every stack starts with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from services.market.sessions import weekly

# Forex and metals trade from Sunday 22:00 to Friday 22:00 UTC under live feeds.
FOREX_WEEK = weekly(open_day=0, open_hour=22, close_day=5, close_hour=22)


def _forex(description: str, digits: int = 5) -> dict[str, Any]:
    return {"description": description, "digits": digits, "sec_index": 0}


def _price_based(description: str, digits: int, sec_index: int, contract_size: float) -> dict[str, Any]:
    return {
        "description": description,
        "digits": digits,
        "sec_index": sec_index,
        "contract_size": contract_size,
        "margin_mode": 4,
        "profit_mode": 1,
    }


def _crypto(description: str, digits: int) -> dict[str, Any]:
    return _price_based(description, digits, 2, 1.0)


INSTRUMENTS: Mapping[str, Mapping[str, Any]] = {
    "EURUSD": _forex("Euro vs US Dollar"),
    "GBPUSD": _forex("Pound Sterling vs US Dollar"),
    "USDJPY": _forex("US Dollar vs Japanese Yen", 3),
    "XAUUSD": _price_based("Gold vs US Dollar", 2, 1, 100.0),
    "BTCUSD": _crypto("Bitcoin vs US Dollar", 2),
    "ETHUSD": _crypto("Ethereum vs US Dollar", 2),
    "SOLUSD": _crypto("Solana vs US Dollar", 3),
    "BTC/USDT": _crypto("Bitcoin vs Tether", 2),
    "ETH/USDT": _crypto("Ethereum vs Tether", 2),
    "SOL/USDT": _crypto("Solana vs Tether", 3),
    "BNB/USDT": _crypto("BNB vs Tether", 2),
    "XRP/USDT": _crypto("XRP vs Tether", 5),
}

GROUPS: Mapping[str, Mapping[str, Any]] = {
    "demo": {"company": "Tradewind", "currency": "USD", "default_leverage": 100, "default_deposit": 10_000.0}
}


_ORDER = {symbol: number for number, symbol in enumerate(INSTRUMENTS)}


def instrument(symbol: str, *, live: bool) -> dict[str, Any]:
    """What a built-in says of itself, nothing for others: the forex week holds under live feeds only."""
    if symbol not in INSTRUMENTS:
        return {}
    said = {**INSTRUMENTS[symbol], "sort_index": _ORDER[symbol]}
    if live and said["sec_index"] in (0, 1):
        said["sessions"] = msgspec.to_builtins(FOREX_WEEK)
    return said


def group(name: str) -> dict[str, Any]:
    """What the built-in group says of itself, nothing for others."""
    return dict(GROUPS.get(name, {}))
