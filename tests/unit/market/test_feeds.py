"""Which feed a setting names, and when a silent one is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import ConfigInvalid
from services.market.feeds import FeedSpec, feed_spec
from services.market.silence import Backoff, FeedAction, FeedLimits, FeedSilence, diagnose


@pytest.mark.parametrize(
    ("text", "spec", "source", "live"),
    [
        ("synthetic", FeedSpec("synthetic"), "synthetic", False),
        (" manual ", FeedSpec("manual"), "manual", False),
        ("replay:/x/y.csv?speed=max", FeedSpec("replay", "/x/y.csv?speed=max"), "replay", False),
        ("binance", FeedSpec("binance"), "binance", True),
        ("kraken", FeedSpec("kraken"), "kraken", True),
        ("ccxt:okx", FeedSpec("ccxt", "okx"), "ccxt:okx", True),
    ],
)
def test_every_feed_has_its_name(text: str, spec: FeedSpec, source: str, live: bool) -> None:
    found = feed_spec(text)
    assert found == spec
    assert (found.source, found.live) == (source, live)


@pytest.mark.parametrize("text", ["", "random", "replay", "replay:", "ccxt", "ccxt:", "manual:x", "Binance"])
def test_anything_else_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="one of synthetic, replay"):
        feed_spec(text)


@given(st.floats(0, 200), st.floats(0, 200), st.booleans())
def test_the_two_clocks_decide_and_a_closed_market_is_only_quiet(
    transport_s: float, data_s: float, session_open: bool
) -> None:
    action = diagnose(FeedSilence(transport_s, data_s), FeedLimits(), session_open=session_open)
    if transport_s > 30:
        assert action is FeedAction.RECONNECT
    elif session_open and data_s > 60:
        assert action is FeedAction.RESUBSCRIBE
    else:
        assert action is FeedAction.NONE


@given(st.integers(0, 10_000), st.floats(0, 0.999))
def test_delays_grow_to_a_cap_and_are_spread(attempt: int, chance: float) -> None:
    backoff = Backoff()
    delay = backoff.delay_s(attempt, chance)
    assert 0.25 <= delay <= 45
    assert delay <= backoff.delay_s(attempt + 1, chance)
    assert (backoff.delay_s(9, 0.0), backoff.delay_s(9, 0.5)) == (15.0, 30.0)
