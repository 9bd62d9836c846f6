"""Texts from outside on real servers: feeds that are polled, calls that are signed, counted once together."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks import Webhook

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.clock import ManualClock
from libs.common.db import Connection, Database
from libs.common.errors import ConfigInvalid, RemoteError
from libs.common.messages import signals as m
from libs.common.outbound import Outbound
from services.scanner.errors import TextsClosed, TextsUnreadable, TextsUnsigned
from services.scanner.signals.feeds.inbox import Inbox
from services.scanner.signals.feeds.kept import KEPT_DAYS, KeptTexts
from services.scanner.signals.feeds.poller import FEED_BYTES_MAX, Feed, Poller, feeds_of
from services.scanner.signals.text_store import TextStore
from tests.conftest import wait_until
from tests.integration.market.rig import START, open_rig
from tests.integration.scanner.rig import Rig, open_scanner
from tests.integration.scanner.test_signals import bars_of_series, looked

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0"


class Anybody:
    """A lease that is always held."""

    async def check(self, tx: Connection) -> None:
        pass


@dataclass
class Site:
    """A server with a feed, and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.headers.get("ETag", "-") == request.headers.get("If-None-Match"):
            return web.Response(status=304)
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    def tell(self, *titles: str, at: datetime = START) -> None:
        items = "".join(
            f"<item><title>{title}</title><guid>{title}</guid><pubDate>{format_datetime(at)}</pubDate></item>"
            for title in titles
        )
        self.body = f"<rss><channel>{items}</channel></rss>".encode()


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    served = web.Application()
    served.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(served)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/feed.xml"
    yield made
    await runner.cleanup()


def signed(at: datetime, texts: Any, *, id_: str = "msg_1", secret: str = SECRET) -> m.TextsCall:
    """A call as a sender makes it."""
    body = json.dumps({"texts": texts})
    signature = Webhook(secret).sign(id_, at, body)
    return m.TextsCall(body=body.encode(), id=id_, at=str(int(at.timestamp())), signature=signature)


def text(number: int, title: str, source: str, at: datetime = START) -> dict[str, Any]:
    return {"id": f"t{number}", "title": title, "source": source, "publishedAt": at.isoformat()}


async def test_a_feed_is_asked_for_what_is_new_only(
    database: Callable[[str], Awaitable[Database]], site: Site
) -> None:
    clock, scanner = ManualClock(START), await database("scanner")
    kept = KeptTexts(scanner, TextStore(), clock, Anybody())
    outbound = Outbound("test", allow_private=True)
    (feed,) = feeds_of(f" {site.url}, {site.url} ", outbound)
    poller = Poller([feed], kept, outbound, clock, 60)
    site.tell("Bitcoin rises", "Ether rises", at=START + timedelta(days=1))
    site.headers = {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 12:00:00 GMT"}
    assert await poller.ask(feed) == 60
    first = await kept.documents()
    assert {(one.title, one.source, one.published_ms) for one in first} == {
        (title, "127.0.0.1", clock.now_ms()) for title in ("Bitcoin rises", "Ether rises")
    }  # never dated later than they came
    assert await poller.ask(feed) == 60
    assert site.asked[1].headers["If-None-Match"] == '"1"'
    assert site.asked[1].headers["If-Modified-Since"] == "Thu, 01 Jan 2026 12:00:00 GMT"
    assert await kept.documents() is first
    site.headers = {}
    site.tell("Bitcoin rises", "Bitcoin falls")
    await poller.ask(feed)
    site.tell("Long ago", at=START - timedelta(days=KEPT_DAYS + 1))
    await poller.ask(feed)
    again = KeptTexts(scanner, TextStore(), clock, Anybody())  # after a restart
    for held in (await kept.documents(), await again.documents()):
        assert {one.title for one in held} == {"Bitcoin rises", "Ether rises", "Bitcoin falls"}
    clock.advance(86_400 * (KEPT_DAYS + 1))
    site.tell("Bitcoin rests", at=clock.now())
    await poller.ask(feed)
    last = KeptTexts(scanner, TextStore(), clock, Anybody())
    for held in (await kept.documents(), await last.documents()):
        assert [one.title for one in held] == ["Bitcoin rests"]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"<html/>", {}),
        (200, b"<rss>" + b" " * FEED_BYTES_MAX + b"</rss>", {}),
        (302, b"", {"Location": "/other"}),
        (500, b"", {}),
    ],
)
async def test_a_feed_that_fails_is_asked_less_and_less_often(
    database: Callable[[str], Awaitable[Database]],
    site: Site,
    status: int,
    body: bytes,
    headers: dict[str, str],
) -> None:
    clock, scanner = ManualClock(START), await database("scanner")
    kept = KeptTexts(scanner, TextStore(), clock, Anybody())
    outbound = Outbound("test", allow_private=True)
    feed = Feed(site.url, "site")
    poller = Poller([feed], kept, outbound, clock, 60)
    site.status, site.body, site.headers = status, body, headers
    assert [await poller.ask(feed) for _ in range(8)] == [120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert {request.path for request in site.asked} == {"/feed.xml"}  # no redirect is followed
    site.status, site.headers = 200, {}
    site.tell("Bitcoin rises")
    assert await poller.ask(feed) == 60 and len(await kept.documents()) == 1
    site.status = 410
    await poller.ask(feed)
    assert feed.gone


async def test_feeds_of_private_places_are_not_asked(
    database: Callable[[str], Awaitable[Database]], site: Site
) -> None:
    outbound = Outbound("test")
    for wrong in (site.url, "https://user:pw@news.example/", "file:///etc/hostname", "nonsense"):
        with pytest.raises(ConfigInvalid):
            feeds_of(wrong, outbound)
    clock, scanner = ManualClock(START), await database("scanner")
    kept = KeptTexts(scanner, TextStore(), clock, Anybody())
    feed = Feed(site.url.replace("http://", "https://"), "site")
    assert await Poller([feed], kept, outbound, clock, 60).ask(feed) == 120
    assert (site.asked, feed.failures) == ([], 1)


async def test_calls_count_when_they_are_signed_now_and_once(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    clock, scanner = ManualClock(START), await database("scanner")
    kept = KeptTexts(scanner, TextStore(), clock, Anybody())
    inbox = Inbox(kept, SECRET, clock)
    given = [
        text(1, "Bitcoin <b>rises</b>", "ann"),
        {**text(2, "x", "bob"), "assets": ["BTC"], "url": "ftp://x"},
    ]
    call = signed(START, given)
    assert (await inbox.take(call)).data == m.TextCounts(taken=2, known=0)
    assert (await inbox.take(call)).data == m.TextCounts(taken=0, known=2)  # replayed: nothing changes
    held = {one.id: one for one in await kept.documents()}
    assert (held["call t1"].title, held["call t2"].assets, held["call t2"].url) == (
        "Bitcoin rises",
        ("BTC",),
        "",
    )
    forged = [
        signed(START, given, secret="whsec_" + "eHh4" * 10),
        signed(START - timedelta(seconds=301), given),
        signed(START + timedelta(seconds=301), given),
        m.TextsCall(body=call.body + b" ", id=call.id, at=call.at, signature=call.signature),
        m.TextsCall(body=call.body, id="msg_2", at=call.at, signature=call.signature),
        m.TextsCall(body=call.body, id=call.id, at=str(int(call.at) + 1), signature=call.signature),
        m.TextsCall(body=call.body, id=call.id, at="soon", signature=call.signature),
        m.TextsCall(body=call.body, id=call.id, at=call.at, signature="v1, v1,x v2," + call.signature[3:]),
        m.TextsCall(body=call.body, id="", at="", signature=""),
    ]
    for one in forged:
        with pytest.raises(TextsUnsigned):
            await inbox.take(one)
    several = m.TextsCall(body=call.body, id=call.id, at=call.at, signature=f"v1,old {call.signature}")
    assert (await inbox.take(several)).data.taken == 0
    for wrong in (
        "x",
        [{}],
        [text(3, "", "a")],
        [{**text(3, "a", "a"), "publishedAt": "soon"}],
        [text(3, "<b>", "a")],
    ):
        with pytest.raises(TextsUnreadable):
            await inbox.take(signed(START, wrong))
    assert len(await kept.documents()) == 2
    with pytest.raises(TextsClosed):
        await Inbox(kept, "", clock).take(call)
    for secret in ("whsec_short", "whsec_%%%", "secret"):
        with pytest.raises(ConfigInvalid):
            Inbox(kept, secret, clock)


async def test_a_story_counts_once_whoever_brings_it(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus, tmp_path: Path, site: Site
) -> None:
    bars, clock = bars_of_series(400), ManualClock(START)
    market, scanner = await database("market"), await database("scanner")
    story = "Bitcoin rallies to a record high after a quiet morning in Asia"
    (tmp_path / "news.jsonl").write_text(json.dumps(text(1, story, "folder")))
    site.tell(story + "!", "Bitcoin gains on inflows")
    config = {
        "texts_dir": str(tmp_path),
        "texts_feeds": site.url,
        "texts_secret": SECRET,
        "texts_allow_private": "on",
    }
    async with (
        open_rig(market, bus, clock=clock),
        open_scanner(scanner, bus, clock, **config) as app,
    ):
        rig = Rig(bus, clock, market, scanner, app)
        titles = ("wins adoption", "climbs, fees low", "sees strong growth")
        own = [text(n, f"Bitcoin {title}", f"s{n}") for n, title in enumerate(titles)]
        call = signed(START, [text(9, story.upper(), "wire"), *own])
        taken = await rig.ask(subjects.SIGNAL_TEXTS, call)
        assert taken.data == m.TextCounts(taken=4, known=0)
        with pytest.raises(RemoteError):
            await rig.ask(subjects.SIGNAL_TEXTS, signed(START, [], secret="whsec_" + "eHh4" * 10))

        async def polled() -> bool:
            return len(await rig.rows("SELECT 1 FROM scanner.text")) == 6

        await wait_until(polled)
        await rig.load("BTC/USDT", "1h", bars)
        await looked(rig, bars[-1][0])
        ((said,),) = await rig.rows("SELECT texts FROM scanner.signal_input WHERE cmc_id = 1")
        tone, _, unusual, sources = json.loads(said)
        # Seven texts of three ways tell one story three times, and four others: five texts.
        assert (unusual, sources) == (5.0, 5) and tone > 0
        page = await rig.ask(subjects.SIGNAL_LIST, m.SignalsAsk(trigger=["text_burst"]))
        assert page.data.total == 1
