"""Netting: an account that never holds both sides of a symbol. Pure.

In a group with ``netting`` an order against what is open first closes it, oldest first: it opens in full
and is closed against each opposite position at once, by the rules of a close-by (``closing.py``), so that
every record says what became of it. What is left of it stays open. The result is what is judged: only
volume that is added to the account needs its limits, and an order that takes margin off passes without
free margin. Orders of one side stand beside each other as in hedging.
"""

from __future__ import annotations

from services.trading.closing import close_at, worth_or_refuse
from services.trading.draft import Draft
from services.trading.instrument import Rules, Terms
from services.trading.position import CLOSED_BY, Trade, side_of
from services.trading.state import Account


def added_volume(account: Account, rules: Rules, symbol: str, cmd: int, volume: int) -> int:
    """How much of an order's volume is new: all of it, or under netting what no opposite position takes."""
    if not rules.netting:
        return volume
    return max(volume - account.book(symbol).volume_of(1 - side_of(cmd)), 0)


def net_out(draft: Draft, opened: Trade, terms: Terms) -> None:
    """Close a position that was just opened against the opposite ones."""
    opposite = [trade for trade in draft.account.book(opened.symbol).positions if trade.cmd != opened.cmd]
    opposite.sort(key=lambda trade: (trade.open_ms, trade.order))
    worth = worth_or_refuse(draft, terms, opened)
    rest: Trade | None = opened
    for old in opposite:
        if rest is None:
            break
        volume, price = min(old.volume, rest.volume), rest.open_points
        close_at(draft, old, price, worth, volume=volume, state=CLOSED_BY)
        rest = _closed_into(draft, rest, volume, price, worth)


def _closed_into(draft: Draft, trade: Trade, volume: int, price: int, worth: object) -> Trade | None:
    """Close ``volume`` of the new position at its own price; what is left of it."""
    close_at(draft, trade, price, worth, volume=volume, state=CLOSED_BY)  # type: ignore[arg-type]
    return getattr(draft.events[-1], "remainder", None)
