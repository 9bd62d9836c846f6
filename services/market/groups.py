"""Groups of trading accounts: what a change may say, and the market as one group sees it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from libs.common.errors import InvalidData
from libs.common.messages.market import Group, Instrument, SecGroup, SecMargin
from services.market.errors import SecurityGroupNotFound, SymbolNotFound
from services.market.instruments import SECURITY_GROUPS, TEXT_MAX
from services.market.profiles import RAW, Profile

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\\/-]{0,63}$")
_FIELDS = {f.name: f.type for f in msgspec.structs.fields(Group)}
_RANGES: Mapping[str, tuple[float, float]] = {
    "enable": (0, 1),
    "default_leverage": (1, 10_000),
    "default_deposit": (0, 1e12),
    "credit": (0, 1e12),
    "margin_call": (0, 1e12),
    "margin_stopout": (0, 1e12),
    "margin_mode": (0, 3),
    "margin_type": (0, 1),
    "use_swap": (0, 1),
    "maxpositions": (0, 10**9),
    "hedge_prohibited": (0, 1),
    "hedge_largeleg": (0, 1),
    "partial_close": (0, 1),
    "close_fifo": (0, 1),
    "allow_sl_tp_slippage": (0, 1),
    "allow_negative_margin_hedge": (0, 1),
    "stopout_skip_hedged": (0, 1),
    "netting": (0, 1),
}
_SEC_RANGES: Mapping[str, tuple[float, float]] = {
    "show": (0, 1),
    "trade": (0, 1),
    "comm_type": (0, 2),
    "comm_lots": (0, 1),
    "spread_diff": (-(10**6), 10**6),
    "lot_min": (1, 10**9),
    "lot_max": (1, 10**9),
    "lot_step": (1, 10**9),
}
_MARGIN_RANGES: Mapping[str, tuple[float, float]] = {
    "swap_enable": (0, 1),
    "margin_divider": (1e-9, 1e9),
    "spread_enable": (0, 1),
    "spread": (0, 10**6),
    "spread_balance": (-(10**6), 10**6),
}
_OF_SECURITY = ("comm_base", "comm_type", "comm_lots", "comm_agent", "lot_min", "lot_max", "lot_step")
_OF_SYMBOL = ("swap_enable", "swap_long", "swap_short", "margin_divider")


def effective(group: str, said: Mapping[str, Any]) -> Group:
    """The group with everything that was not said defaulted."""
    return msgspec.convert({**said, "group": group}, type=Group)


def merged(
    group: str,
    base: Mapping[str, Any],
    stored: Mapping[str, Any],
    given: Mapping[str, Any],
    find_symbol: Callable[[str], str | None],
) -> dict[str, Any]:
    """What is said of ``group`` after a change: ``secgroups`` and ``secmargins`` merge by their key.

    ``base`` is what the built-in group says of itself.
    """
    if not _NAME.fullmatch(group):
        raise InvalidData("group was not 1 to 64 letters, digits and _ . - / \\")
    said = dict(stored)
    for name, value in given.items():
        if name not in _FIELDS:
            raise InvalidData(f"{name} is not a field of a group")
        if name == "group":
            if value != group:
                raise InvalidData("group was not the one of the path")
        elif name == "secgroups":
            said[name] = _merged_list(SecGroup, "sec_index", said.get(name, ()), value, _security)
        elif name == "secmargins":
            said[name] = _merged_list(
                SecMargin, "symbol", said.get(name, ()), value, lambda key: _symbol(key, find_symbol)
            )
        else:
            said[name] = _typed(name, value, _FIELDS[name])
    _check(effective(group, {**base, **said}))
    return said


def _security(key: Any) -> int:
    if type(key) is not int:
        raise InvalidData("secgroups: sec_index was missing or not an integer")
    if not 0 <= key < len(SECURITY_GROUPS):
        raise SecurityGroupNotFound(f"sec_index was {key}")
    return key


def _symbol(key: Any, find_symbol: Callable[[str], str | None]) -> str:
    if not isinstance(key, str):
        raise InvalidData("secmargins: symbol was missing or not a text")
    found = find_symbol(key)
    if found is None:
        raise SymbolNotFound(f"secmargins: there is no symbol {key!r}")
    return found


def _typed(name: str, value: Any, type_: Any) -> Any:
    try:
        return msgspec.convert(value, type=type_)
    except msgspec.ValidationError as e:
        raise InvalidData(f"{name}: {e}") from e


def _merged_list(
    of: type[SecGroup | SecMargin],
    key_name: str,
    stored: Sequence[Mapping[str, Any]],
    given: Any,
    read_key: Callable[[Any], int | str],
) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise InvalidData(f"a list of objects with {key_name} was expected")
    known = {f.name for f in msgspec.structs.fields(of)}
    items = {item[key_name]: dict(item) for item in stored}
    for item in given:
        if not isinstance(item, dict):
            raise InvalidData(f"a list of objects with {key_name} was expected")
        unknown = item.keys() - known
        if unknown:
            raise InvalidData(f"{min(unknown)} is not a field beside {key_name}")
        key = read_key(item.get(key_name))
        whole = {**items.get(key, {}), **item, key_name: key}
        _typed(str(key), whole, of)
        items[key] = whole
    return [items[key] for key in sorted(items)]


def _check(group: Group) -> None:
    _check_ranges(msgspec.structs.asdict(group), _RANGES, "")
    if len(group.currency) != 3 or not group.currency.isalpha() or not group.currency.isupper():
        raise InvalidData("currency was not three capital letters")
    for sec in group.secgroups:
        _check_ranges(msgspec.structs.asdict(sec), _SEC_RANGES, f"secgroups {sec.sec_index}: ")
        if sec.lot_min is not None and sec.lot_max is not None and sec.lot_max < sec.lot_min:
            raise InvalidData(f"secgroups {sec.sec_index}: lot_max was below lot_min")
    for margin in group.secmargins:
        _check_ranges(msgspec.structs.asdict(margin), _MARGIN_RANGES, f"secmargins {margin.symbol}: ")


def _check_ranges(values: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]], where: str) -> None:
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidData(f"{where}{name} was not a finite number")
        if isinstance(value, str) and (len(value) > TEXT_MAX or "\x00" in value):
            raise InvalidData(f"{where}{name} was longer than {TEXT_MAX} characters, or had a NUL")
        low, high = ranges.get(name, (-math.inf, math.inf))
        if isinstance(value, int | float) and not low <= value <= high:
            raise InvalidData(f"{where}{name} was {value}, not within {low:g} to {high:g}")


# ── the market as a group sees it ─────────────────────────────────────────────────────────────────


def security_of(group: Group, instrument: Instrument) -> SecGroup | None:
    """What the group says of the instrument's security group."""
    return next((s for s in group.secgroups if s.sec_index == instrument.sec_index), None)


def margin_of(group: Group, instrument: Instrument) -> SecMargin | None:
    """What the group says of the instrument itself."""
    return next((m for m in group.secmargins if m.symbol == instrument.symbol), None)


def is_shown(group: Group, instrument: Instrument) -> bool:
    """Whether the group sees the instrument; everything is shown until a group hides it."""
    security = security_of(group, instrument)
    return security is None or bool(security.show)


def profile_of(group: Group, instrument: Instrument) -> Profile:
    """The price profile of the instrument for the group: its effective spread."""
    security, margin = security_of(group, instrument), margin_of(group, instrument)
    spread, balance = instrument.spread, instrument.spread_balance
    if margin is not None and margin.spread_enable:
        spread = margin.spread if margin.spread is not None else spread
        balance = margin.spread_balance if margin.spread_balance is not None else balance
    diff = security.spread_diff if security is not None else 0
    if spread > 0:
        return Profile(fixed=max(spread + diff, 0), widen=0, shift=balance)
    if diff or balance:
        return Profile(fixed=None, widen=diff, shift=balance)
    return RAW


def as_seen(group: Group, instrument: Instrument) -> Instrument:
    """The instrument with the group's values in force."""
    security, margin = security_of(group, instrument), margin_of(group, instrument)
    over: dict[str, Any] = {}
    if security is not None:
        over |= {name: getattr(security, name) for name in _OF_SECURITY}
    if margin is not None:
        over |= {name: getattr(margin, name) for name in _OF_SYMBOL}
    profile = profile_of(group, instrument)
    over |= {"spread": profile.spread, "spread_balance": profile.shift}
    if not group.use_swap:
        over["swap_enable"] = 0
    return msgspec.structs.replace(
        instrument, **{name: value for name, value in over.items() if value is not None}
    )
