"""What the answers of others mean for a delivery. The way out itself is ``libs/common/outbound.py``."""

from __future__ import annotations

from libs.common.outbound import Answer, CallRefused, NoAnswer, NotSent, Outbound
from services.notifier.channels.base import SENT, Outcome, Result

AGENT = "Tradewind-Notifier/1"


def outcome_of(answer: Answer, *, refused: frozenset[int] = frozenset(), gone: frozenset[int]) -> Outcome:
    """What a status means: 2xx sent; ``gone`` and ``refused`` for good; anything else comes again."""
    if answer.is_success:
        return Outcome(Result.SENT, answer=answer.body)
    reason = f"answered {answer.status}"
    if 300 <= answer.status < 400:
        reason = f"answered {answer.status}: redirects are not followed"
    if answer.status in gone:
        return Outcome(Result.REFUSED, reason, gone=True)
    if answer.status in refused:
        return Outcome(Result.REFUSED, reason)
    return Outcome(Result.LATER, reason, retry_after_s=retry_after_s(answer.headers.get("Retry-After")))


def retry_after_s(text: str | None) -> float | None:
    """Seconds of a Retry-After header; its date form is left to our own schedule."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < 1e9 else None


def outcome_of_failure(error: CallRefused | NotSent | NoAnswer) -> Outcome:
    """What a call that got no answer means."""
    if isinstance(error, CallRefused):
        return Outcome(Result.REFUSED, str(error))
    return Outcome(Result.UNKNOWN if isinstance(error, NoAnswer) else Result.LATER, str(error))


__all__ = ["SENT", "Answer", "CallRefused", "NoAnswer", "NotSent", "Outbound", "outcome_of"]
