"""The session protocol against anything a client may say, and against markets that change."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.errors import NotAuthenticated
from libs.common.principal import Principal
from services.gateway.gauges import StreamGauges
from services.gateway.socket import (
    Deadlines,
    Listing,
    Replay,
    SocketLimits,
    StreamPorts,
    StreamSocket,
    SymbolView,
    Upgrade,
)
from tests.unit.gateway.stage import Client, Stage, tick

SYMBOLS = ("EURUSD", "GBPUSD", "XAUUSD")
PROFILES = ("raw", "wide")


@dataclass
class Market:
    profiles: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, "raw"))

    def find(self, name: str) -> Listing | None:
        profile = self.profiles.get(name.upper())
        return None if profile is None else Listing(name.upper(), profile)


class Talk:
    """One socket on a hand-run stage."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.client = Client(self.stage.hub, lambda: None)
        self.market = Market()
        self.ends: list[int] = []
        self.socket = StreamSocket(
            hub=self.stage.hub,
            connection=self.client.connection,
            ports=StreamPorts(self.authenticate, self.view, self.history),
            limits=SocketLimits(),
            clock=self.stage.clock,
            gauges=StreamGauges(self.stage.hub),
            end=self.ends.append,
            deadlines=Deadlines(0.0, 0.0, 0.0),
        )

    async def authenticate(self, token: str, upgrade: Upgrade) -> Principal:
        if token != "good":
            raise NotAuthenticated
        return Principal(kind="customer", logins=(7, 8), person_id=1, session_type=9)

    async def view(self, principal: Principal, login: int | None) -> SymbolView:
        return self.market

    async def history(self, login: int, after: int | None) -> Replay:
        return Replay(3, [(3, b"[3]")] if after is not None and after < 3 else [], gap=(after or 0) > 3)

    def say(self, text: str) -> list[bytes]:
        """What comes back for one client frame."""
        before = len(self.client.heard())
        asyncio.run(self.socket.on_text(text))
        self.stage.scheduler.settle()
        return self.client.heard()[before:]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
names = st.sampled_from([*SYMBOLS, "eurusd", "NOSUCH", ""])
commands = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(["subscribe", "unsubscribe", "account.switch", "ping"]) | anything,
        "authorization": st.sampled_from(["good", "bad"]) | anything,
        "data": st.lists(names, max_size=4) | anything,
        "active_login": st.sampled_from([7, 8, 9]) | anything,
        "login": st.sampled_from([7, 8, 9]) | anything,
        "resume": st.booleans() | anything,
        "after": st.integers(-1, 5) | anything,
    },
)


@given(st.lists(st.text(max_size=60) | commands.map(json.dumps) | anything.map(json.dumps), max_size=12))
@example(["[" * 3000, '{"event":"account.switch","data":[]}', '{"authorization":"good","event":5}'])
def test_whatever_a_client_says_the_answer_is_a_frame_of_the_protocol(frames: list[str]) -> None:
    talk = Talk()
    for text in frames:
        for answer in talk.say(text):
            if answer == b"pong":
                assert text == "ping"
                continue
            frame = json.loads(answer)
            if isinstance(frame, list):  # a replayed event
                continue
            if "seq" in frame and "event" in frame and isinstance(frame["event"], list):
                continue
            assert frame["event"] in ("error", "authorization", "account.switch", "subscribe", "unsubscribe")
            assert frame["success"] is ("error" not in frame)
        assert talk.ends in ([], [4401])
        assert not talk.client.connection.channels or talk.socket.principal is not None


moves = st.lists(
    st.tuples(st.just("subscribe"), st.lists(st.sampled_from(SYMBOLS)))
    | st.tuples(st.just("unsubscribe"), st.lists(st.sampled_from(SYMBOLS)))
    | st.tuples(st.just("market"), st.dictionaries(st.sampled_from(SYMBOLS), st.sampled_from(PROFILES))),
    max_size=15,
)


@given(moves)
def test_a_socket_hears_exactly_what_it_wants_and_may_see(
    moves: list[tuple[str, list[str] | dict[str, str]]],
) -> None:
    """The oracle: a set of wanted symbols, cut down to the visible ones at each change of the market."""
    talk, wanted = Talk(), set[str]()
    talk.say('{"authorization":"good"}')
    for kind, what in moves:
        if isinstance(what, dict):
            talk.market.profiles = what
            talk.socket.rebind()
            wanted &= set(what)
            continue
        talk.say(json.dumps({"event": kind, "data": what}))
        if kind == "subscribe":
            wanted |= set(what) & set(talk.market.profiles)
        else:
            wanted -= set(what) & set(talk.market.profiles)
    before = len(talk.client.heard())
    for seq, symbol in enumerate(SYMBOLS, start=1):
        for profile in PROFILES:
            talk.stage.hub.on_tick(profile, symbol, tick(f"{symbol}.{profile}", seq))
    talk.stage.scheduler.settle()
    heard = {json.loads(frame)[1] for frame in talk.client.heard()[before:]}
    assert heard == {f"{symbol}.{talk.market.profiles[symbol]}" for symbol in wanted}
