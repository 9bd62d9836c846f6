"""What the owners of rules are told. Pure.

Many hits of one account at one moment become one notice that counts them and names the first ones: nobody
is flooded, and nothing is left out in silence (every hit is in its rule's list).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from libs.common.candles import Timeframe
from libs.common.ids import Ids
from libs.common.messages.notifier import Notice
from libs.common.outbox import Fact, fact
from libs.common.subjects import ALERTS_NOTICE
from services.alerts.rule import Hit, Rule

STORM = 5  # hits of one account on one bar that are told one by one
CAUGHT_UP = "[caught up]"  # as the log of price alerts says it
NAMED = 10  # rules a summary names
TOLD = frozenset({"yes", "summary"})

Told = tuple[Rule, Hit]


def notices_of(hits: Iterable[Told], ids: Ids, now_ms: int, frame: Timeframe) -> list[Fact]:
    """The facts for the notifier, by account and channels."""
    groups: dict[tuple[int, tuple[str, ...] | None], list[Told]] = {}
    for rule, hit in hits:
        if hit.told in TOLD:
            groups.setdefault((rule.login, rule.body.channels), []).append((rule, hit))
    found = []
    for (login, channels), told in groups.items():
        some = [[one] for one in told] if len(told) <= STORM else [told]
        for part in some:
            event_id = ids.event_id()
            notice = _notice(event_id, login, channels, part, now_ms, frame)
            found.append(fact(ALERTS_NOTICE, notice, event_id, login=login))
    return found


def _notice(
    event_id: str,
    login: int,
    channels: tuple[str, ...] | None,
    told: Sequence[Told],
    now_ms: int,
    frame: Timeframe,
) -> Notice:
    rule, hit = told[0]
    if len(told) == 1:
        title, text, data = _one(rule, hit, now_ms, frame)
    else:
        title = f"{len(told)} rules fired on {rule.symbol} {rule.timeframe}"
        names = [_name(r) for r, _ in told[:NAMED]]
        more = len(told) - len(names)
        text = "\n".join([*names, f"… and {more} more"] if more else names)
        data = {
            "rule_ids": [r.id for r, _ in told],
            "count": len(told),
            "names": names,
            "symbol": rule.symbol,
            "timeframe": rule.timeframe,
            "bar_close": hit.close_ms // 1000,
            "time_ms": hit.close_ms,
        }
        if more:
            data["unnamed"] = more
    return Notice(
        event_id=event_id,
        login=login,
        token="ALERT_RULE" if len(told) == 1 else "ALERT_RULES",
        raised_ms=now_ms,
        symbol=rule.symbol,
        title=title,
        text=text,
        data=data,
        channels=channels,
    )


def _one(rule: Rule, hit: Hit, now_ms: int, frame: Timeframe) -> tuple[str, str, dict[str, object]]:
    late = now_ms > hit.close_ms + max(frame.span_ms, 60_000)
    lines = [rule.body.message] if rule.body.message else []
    if hit.told == "summary":
        lines.append(f"Fired {hit.held_back} times while it had to be quiet.")
    elif hit.held_back:
        lines.append(f"Fired {hit.held_back} times before, while it had to be quiet.")
    if late:
        lines.append(CAUGHT_UP)
    data: dict[str, object] = {
        "rule_id": rule.id,
        "name": rule.body.name,
        "message": rule.body.message,
        "symbol": rule.symbol,
        "timeframe": rule.timeframe,
        "price": hit.price,
        "bar_open": hit.open_ms // 1000,
        "bar_close": hit.close_ms // 1000,
        "held_back": hit.held_back,
        "summary": hit.told == "summary",
        "caught_up": late,
        "rule_name": _name(rule),
        "time_ms": hit.close_ms,
    }
    if hit.held_back:
        data["held_count"] = hit.held_back
    return f"{_name(rule)}: {rule.symbol} {hit.price:g}", "\n".join(lines), data


def _name(rule: Rule) -> str:
    return rule.body.name or f"Rule {rule.id}"
