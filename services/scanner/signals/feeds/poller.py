"""RSS and Atom feeds, asked again and again. Off without addresses.

Each feed is asked on its own, by the rules of ``libs/common/outbound.py``: https, public addresses only, no
redirect followed. What has not changed is not sent again (ETag, Last-Modified). A feed that fails is asked
less and less often, at most every hour; one that is gone (410) is asked no more until the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from libs.common.clock import Clock
from libs.common.errors import ConfigInvalid
from libs.common.outbound import Answer, CallRefused, NoAnswer, NotSent, Outbound
from services.scanner import metrics
from services.scanner.signals.feeds.kept import KeptTexts
from services.scanner.signals.feeds.parsing import Entry, FeedUnreadable, read_feed
from services.scanner.signals.texts import Document

log = structlog.get_logger()

AGENT = "Tradewind-Texts/1"
FEED_BYTES_MAX = 2 * 1024 * 1024
TOTAL_S = 15.0
POLL_S_MIN = 30.0
WAIT_S_MAX = 3600.0
FEEDS_MAX = 50
ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1"


@dataclass(slots=True)
class Feed:
    """An address, and what its server said for the next time."""

    url: str
    source: str
    etag: str = ""
    modified: str = ""
    failures: int = 0
    gone: bool = False


def feeds_of(text: str, outbound: Outbound) -> list[Feed]:
    """The feeds of a setting: addresses with commas between. Raises ConfigInvalid."""
    urls = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if len(urls) > FEEDS_MAX:
        raise ConfigInvalid(f"TRADEWIND_TEXTS_FEEDS: at most {FEEDS_MAX} feeds")
    try:
        return [Feed(str(outbound.check_url(url)), urlsplit(url).hostname or url) for url in urls]
    except CallRefused as e:
        raise ConfigInvalid(f"TRADEWIND_TEXTS_FEEDS: {e}") from e


class Poller:
    """Asks every feed until stopped."""

    def __init__(
        self, feeds: Sequence[Feed], kept: KeptTexts, outbound: Outbound, clock: Clock, poll_s: float
    ) -> None:
        self._feeds = feeds
        self._kept = kept
        self._outbound = outbound
        self._clock = clock
        self._poll_s = max(poll_s, POLL_S_MIN)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [
            asyncio.create_task(self._run(feed), name=f"feed {feed.source}") for feed in self._feeds
        ]

    async def stop(self) -> None:
        """End; an answer under way is thrown away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, feed: Feed) -> None:
        while not feed.gone:
            wait_s = await self.ask(feed)
            await asyncio.sleep(wait_s)

    async def ask(self, feed: Feed) -> float:
        """Ask a feed once; the seconds until it should be asked again."""
        try:
            wait_s = await self._asked(feed)
            feed.failures = 0
            return wait_s
        except (CallRefused, NotSent, NoAnswer, FeedUnreadable) as e:
            why = str(e)
        except Exception as e:
            log.exception("texts of a feed are not kept", feed=feed.source)
            why = type(e).__name__
        feed.failures += 1
        metrics.feed_failures.inc()
        log.warning("feed not read", feed=feed.source, error=why, failures=feed.failures)
        return min(self._poll_s * 2.0 ** min(feed.failures, 10), max(WAIT_S_MAX, self._poll_s))

    async def _asked(self, feed: Feed) -> float:
        headers = {"Accept": ACCEPT}
        if feed.etag:
            headers["If-None-Match"] = feed.etag
        if feed.modified:
            headers["If-Modified-Since"] = feed.modified
        answer = await self._outbound.to_anywhere(
            feed.url, None, headers, method="GET", bytes_max=FEED_BYTES_MAX + 1
        )
        if answer.status == 304:
            return self._poll_s
        if answer.status == 410:
            feed.gone = True
        if answer.status != 200:
            raise FeedUnreadable(_why(answer))
        if len(answer.body) > FEED_BYTES_MAX:
            raise FeedUnreadable(f"it is larger than {FEED_BYTES_MAX} bytes")
        entries = await asyncio.to_thread(read_feed, answer.body)
        await self._kept.add(documents_of(feed, entries, self._clock.now_ms()), "feed")
        # Only now: what could not be read or kept is asked for again.
        feed.etag, feed.modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        return self._poll_s


def documents_of(feed: Feed, entries: Sequence[Entry], now_ms: int) -> list[Document]:
    """Entries as texts of a feed; one without a time counts from now on."""
    return [
        Document(
            id=f"feed {hashlib.sha256(f'{feed.url} {entry.id}'.encode()).hexdigest()[:32]}",
            title=entry.title,
            source=feed.source,
            published_ms=now_ms if entry.published_ms is None else entry.published_ms,
            url=entry.url,
        )
        for entry in entries
    ]


def _why(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return f"answered {answer.status}: redirects are not followed, name the new address"
    return f"answered {answer.status}"
