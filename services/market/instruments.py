"""Instruments: their defaults, what a change may say, and the effective values a group sees. Pure.

Only what was said explicitly is stored; the rest is derived from it each time, so that a change of
``digits`` moves ``point``, ``tick_size`` and ``tick_value`` with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from libs.common.errors import InvalidData
from libs.common.messages.market import Instrument
from libs.common.symbols import is_symbol, pair_of
from services.market.errors import SecurityGroupNotFound
from services.market.sessions import read_sessions

SECURITY_GROUPS = ("Forex", "Metals", "Crypto", "Indices", "Stocks")
TEXT_MAX = 500

_FIELDS = {f.name: f.type for f in msgspec.structs.fields(Instrument)}
_FLAGS = ("swap_enable", "swap_daily", "margin_hedged_strong", "long_only", "realtime")
_RANGES: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(_FLAGS, (0, 1)),
    "digits": (0, 10),
    "trade": (0, 2),
    "exemode": (0, 2),
    "profit_mode": (0, 2),
    "margin_mode": (0, 4),
    "swap_type": (0, 5),
    "swap_rollover3days": (0, 6),
    "gtc_pendings": (0, 2),
    "comm_type": (0, 2),
    "comm_lots": (0, 1),
    "spread": (0, 10**6),
    "spread_balance": (-(10**6), 10**6),
    "stops_level": (0, 10**6),
    "freeze_level": (0, 10**6),
    "lot_min": (1, 10**9),
    "lot_max": (1, 10**9),
    "lot_step": (1, 10**9),
    "instant_max_volume": (0, 10**9),
    "max_volume": (0, 10**9),
    "quotes_delay": (0, 10**9),
    "starting": (0, 2**53),
    "expiration": (0, 2**53),
}
_POSITIVE = ("contract_size", "tick_size", "margin_divider")
_NOT_NEGATIVE = (
    "tick_value",
    "margin_initial",
    "margin_maintenance",
    "margin_hedged",
    "comm_base",
    "comm_agent",
    "market_cap",
)


def effective(symbol: str, said: Mapping[str, Any]) -> Instrument:
    """The instrument of ``symbol`` with everything that was not said derived or defaulted."""
    base, quote = pair_of(symbol)
    digits = said.get("digits", 5)
    contract_size = said.get("contract_size", 100_000.0)
    point = float(Decimal(1).scaleb(-digits))
    derived = {
        "currency": base,
        "margin_currency": base,
        "quote_currency": quote,
        "point": point,
        "tick_size": point,
        "tick_value": float(Decimal(str(contract_size)) * Decimal(str(point))),
        "margin_hedged": contract_size / 2,
        "group": SECURITY_GROUPS[said.get("sec_index", 0)],
    }
    return msgspec.convert({**derived, **said, "symbol": symbol}, type=Instrument)


def merged(
    symbol: str, base: Mapping[str, Any], stored: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """What is said of ``symbol`` after a change; raises InvalidData on anything unknown or unfit.

    ``base`` is what a built-in says of itself; what was ``stored`` and is now ``given`` stands above it.
    """
    if not is_symbol(symbol):
        raise InvalidData("symbol was not 1 to 32 letters, digits and ._/:#&+@^=$!*~-")
    said = dict(stored)
    for name, value in given.items():
        if name not in _FIELDS:
            raise InvalidData(f"{name} is not a field of a symbol")
        if name == "symbol":
            if not isinstance(value, str) or value.upper() != symbol.upper():
                raise InvalidData("symbol was not the one of the path")
        elif name == "sessions":
            said[name] = msgspec.to_builtins(read_sessions(value))
        else:
            said[name] = _typed(name, value)
    _place(said, given, base.get("sec_index", 0))
    _check(effective(symbol, {**base, **said}))
    said.pop("point", None)  # it follows from digits; what was said of it has been held against them
    return said


def _typed(name: str, value: Any) -> Any:
    try:
        return msgspec.convert(value, type=_FIELDS[name])
    except msgspec.ValidationError as e:
        raise InvalidData(f"{name}: {e}") from e


def _place(said: dict[str, Any], given: Mapping[str, Any], default: int) -> None:
    """Keep ``sec_index`` and ``group``, two names of one thing, in step."""
    index = said.get("sec_index", default)
    if not 0 <= index < len(SECURITY_GROUPS):
        raise SecurityGroupNotFound(f"sec_index was {index}")
    if "group" not in given:
        return
    known = {name.upper(): number for number, name in enumerate(SECURITY_GROUPS)}
    place = known.get(said["group"].upper())
    if place is None:
        raise SecurityGroupNotFound(f"group was {said['group']!r}")
    if "sec_index" in given and index != place:
        raise InvalidData("sec_index and group name different security groups")
    said["sec_index"] = place
    said.pop("group")


def _check(instrument: Instrument) -> None:
    values = msgspec.structs.asdict(instrument)
    for name, (low, high) in _RANGES.items():
        if not low <= values[name] <= high:
            raise InvalidData(f"{name} was {values[name]}, not within {low} to {high}")
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidData(f"{name} was not a finite number")
        if isinstance(value, str) and (len(value) > TEXT_MAX or "\x00" in value):
            raise InvalidData(f"{name} was longer than {TEXT_MAX} characters, or had a NUL")
    for name in _POSITIVE:
        if values[name] <= 0:
            raise InvalidData(f"{name} was {values[name]}, not above 0")
    for name in _NOT_NEGATIVE:
        if values[name] < 0:
            raise InvalidData(f"{name} was {values[name]}, below 0")
    if instrument.lot_max < instrument.lot_min:
        raise InvalidData("lot_max was below lot_min")
    if instrument.point != float(Decimal(1).scaleb(-instrument.digits)):
        raise InvalidData("point was not 10^-digits")
