"""What an account allows itself: its own limits, and the kill switches of account and house. Pure.

All of it is off until it is set. Only what opens is held back; closing, changing and cancelling never is.
A pending order that is met while a kill switch is pulled waits, as with a closed market; one that is met
beyond a limit is cancelled, as beyond the group's. Orders per minute count those taken in the last
sixty seconds, however they ended.
"""

from __future__ import annotations

from libs.common.errors import AppError, InvalidData
from services.trading import refusals as no
from services.trading.account import HALTED_BY_HOUSE, HALTED_BY_OWNER, HALTED_NOT
from services.trading.closing import close_checked
from services.trading.commands import Halt, LimitAccount
from services.trading.draft import Draft, Failure
from services.trading.events import AccountLimited
from services.trading.fills import PROFILES
from services.trading.instrument import Market
from services.trading.links import end_pending
from services.trading.state import Account

HALT_COMMENT = "HALT"
_MINUTE_MS = 60_000


def check_running(account: Account, market: Market) -> None:
    """No kill switch is pulled."""
    if account.halted or market.halted:
        raise no.Halted


def check_rate(draft: Draft, taken: int = 1) -> None:
    """``taken`` more orders fit into this minute."""
    most = draft.account.limits.orders_per_minute
    if not most:
        return
    since = draft.now_ms - _MINUTE_MS
    if sum(at_ms > since for at_ms in draft.account.recent_ms) + taken > most:
        raise no.TooManyOrders


def check_exposure(draft: Draft, volume: int) -> None:
    """``volume`` more fits into what may be open, and the day has not lost what it may."""
    account, limits = draft.account, draft.account.limits
    if limits.open_volume:
        held = sum(book.buy_volume + book.sell_volume for book in account.books.values())
        if held + volume > limits.open_volume:
            raise no.LimitReached
    if limits.daily_loss_minor:
        numbers = draft.numbers()
        if numbers is None:
            raise no.OffQuotes
        floating = numbers.profit_minor + numbers.commission_minor + numbers.storage_minor
        if account.day_net(draft.now_ms) + floating <= -limits.daily_loss_minor:
            raise no.LimitReached


def halt(draft: Draft, asked: Halt) -> None:
    """Pull the kill switch or let go of it; with ``flatten`` close and cancel everything that can be."""
    account = draft.account
    if asked.by not in (HALTED_BY_OWNER, HALTED_BY_HOUSE):
        raise InvalidData(f"by was {asked.by}")
    if asked.read_only:
        raise no.TradeReadOnly
    if not asked.on and account.halted > asked.by:
        raise no.NotEnoughRights
    _record(draft, halted=max(account.halted, asked.by) if asked.on else HALTED_NOT)
    if asked.on and asked.flatten:
        _flatten(draft)


def limit_account(draft: Draft, asked: LimitAccount) -> None:
    """Set limits and the profile of simulated fills."""
    limits, profile = asked.limits, asked.fill_profile
    if limits is not None and min(limits.daily_loss_minor, limits.open_volume, limits.orders_per_minute) < 0:
        raise InvalidData("a limit was below 0")
    if profile and profile not in PROFILES:
        raise InvalidData(f"fill_profile was none of {', '.join(sorted(PROFILES))}")
    _record(draft, limits=limits, fill_profile=profile)


def _record(draft: Draft, **changed: object) -> None:
    account = draft.account
    kept = {"limits": account.limits, "halted": account.halted, "fill_profile": account.fill_profile}
    said = {name: value for name, value in changed.items() if value is not None}
    draft.record(AccountLimited(login=account.login, at_ms=draft.now_ms, **{**kept, **said}))  # type: ignore[arg-type]


def _flatten(draft: Draft) -> None:
    positions = sorted(draft.account.positions(), key=lambda trade: (trade.open_ms, trade.order))
    pendings = sorted(draft.account.pendings, key=lambda trade: trade.order)
    draft.matched = len(positions) + len(pendings)
    for trade in positions:
        try:
            close_checked(draft, trade, None, HALT_COMMENT)
        except AppError as refusal:
            draft.failures.append(Failure(trade.order, refusal))
    for trade in pendings:
        if draft.account.pendings.get(trade.order) is not None:  # else it went with another
            end_pending(draft, trade, HALT_COMMENT)
    draft.failures.sort(key=lambda failure: failure.order)
