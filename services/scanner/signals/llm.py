"""A language model at an address the operator set (OpenAI's chat completions), off without one.

It may reword the texts of a signal that is being recorded, once: what is stored is never written anew. Slow,
broken, too often, wrong: the template stands, nobody waits longer than ``TOTAL_S`` a signal.
"""

from __future__ import annotations

from typing import Protocol

import structlog
from yarl import URL

from libs.common.clock import Clock
from libs.common.errors import ConfigInvalid
from libs.common.messages.signals import Generator
from libs.common.outbound import CallRefused, NoAnswer, NotSent, Outbound
from services.scanner import metrics
from services.scanner.signals.record import TEMPLATE
from services.scanner.signals.rewording import PROMPT_VERSION, Asked, fault_of, read_words, request_of
from services.scanner.signals.titles import Words

log = structlog.get_logger()

AGENT = "Tradewind-Signals/1"
TOTAL_S = 8.0
PATH = "/chat/completions"
ANSWER_BYTES_MAX = 256 * 1024
FAILURES_MAX = 3
PAUSE_S = 600.0
HOUR_S = 3600.0


class Rewording(Protocol):
    """Who may say a signal in other words."""

    async def reword(self, asked: Asked) -> tuple[Words, Generator]:
        """The texts to record, and who wrote them. Never fails."""
        ...


class Templates:
    """Nobody does."""

    async def reword(self, asked: Asked) -> tuple[Words, Generator]:
        """What the template says."""
        return asked.words, TEMPLATE


class LanguageModel:
    """See the module's text. After three failures in a row it is let be for ten minutes."""

    def __init__(
        self, outbound: Outbound, clock: Clock, *, url: str, model: str, key: str, calls_per_hour: int
    ) -> None:
        if URL(url).scheme not in ("http", "https") or not URL(url).host:
            raise ConfigInvalid("TRADEWIND_LLM_URL: wants an address with http:// or https://")
        self._outbound = outbound
        self._clock = clock
        self._url = url.rstrip("/") if url.rstrip("/").endswith(PATH) else url.rstrip("/") + PATH
        self._model = model
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._calls_max = calls_per_hour
        self._called_s: list[float] = []
        self._failures = 0
        self._until_s = 0.0

    async def close(self) -> None:
        """Close the connections."""
        await self._outbound.close()

    async def reword(self, asked: Asked) -> tuple[Words, Generator]:
        """See ``Rewording``."""
        if not self._may_call():
            metrics.rewordings.labels("skipped").inc()
            return asked.words, TEMPLATE
        try:
            words = await self._asked(asked)
        except (CallRefused, NotSent, NoAnswer, _Failed) as e:
            self._failed(str(e))
            return asked.words, TEMPLATE
        except Exception as e:  # whatever it is, no signal waits for it
            log.exception("other words for a signal broke")
            self._failed(type(e).__name__)
            return asked.words, TEMPLATE
        self._failures = 0
        why = fault_of(asked, words)
        if why is not None:
            metrics.rewordings.labels("refused").inc()
            log.warning("other words for a signal refused", model=self._model, reason=why)
            return asked.words, TEMPLATE
        metrics.rewordings.labels("taken").inc()
        return words, Generator(kind="llm", model=self._model, prompt_version=PROMPT_VERSION)

    async def _asked(self, asked: Asked) -> Words:
        answer = await self._outbound.to_service(
            self._url,
            request_of(asked, self._model),
            self._headers,
            total_s=TOTAL_S,
            bytes_max=ANSWER_BYTES_MAX,
        )
        if answer.status != 200:
            raise _Failed(f"answered {answer.status}")
        words = read_words(answer.body)
        if words is None:
            raise _Failed("no title and summary came")
        return words

    def _may_call(self) -> bool:
        now_s = self._clock.monotonic_s()
        self._called_s = [at for at in self._called_s if now_s - at < HOUR_S]
        if now_s < self._until_s or len(self._called_s) >= self._calls_max:
            return False
        self._called_s.append(now_s)
        return True

    def _failed(self, why: str) -> None:
        metrics.rewordings.labels("failed").inc()
        self._failures += 1
        if self._failures >= FAILURES_MAX:
            self._until_s, self._failures = self._clock.monotonic_s() + PAUSE_S, 0
        log.warning("no other words for a signal", model=self._model, error=why)


class _Failed(Exception):
    """It answered, and not with words."""
