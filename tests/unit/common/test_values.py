"""Money, subjects, ids, clock and configuration: the small values everything stands on."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import ManualClock, from_unix_ms, unix_ms
from libs.common.config import ServiceConfig, check_environment, load
from libs.common.errors import AppError, ConfigInvalid, ErrorBody, RemoteError
from libs.common.ids import CountedIds, RandomIds, uuid7, uuid7_texts
from libs.common.money import from_minor, from_points, round_half_away, round_price, to_minor, to_points
from libs.common.permissions import nats_users
from libs.common.subjects import COMMANDS, SUBJECTS, token, untoken


@given(st.fractions(min_value=-(10**12), max_value=10**12, max_denominator=10**6))
def test_rounding_is_half_away_from_zero(value: Fraction) -> None:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    if (Fraction(exact) - value) == 0:  # the oracle itself must be exact
        assert round_half_away(value) == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    assert abs(round_half_away(value) - value) <= Fraction(1, 2)
    assert round_half_away(-value) == -round_half_away(value)


@given(st.integers(-(10**11), 10**11), st.sampled_from(["USD", "JPY", "EUR", "BTC"]))
def test_money_survives_the_wire(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor


@given(st.integers(0, 10**10), st.integers(0, 8))
def test_prices_survive_the_wire(points: int, digits: int) -> None:
    price = from_points(points, digits)
    assert to_points(price, digits) == points
    assert round_price(price, digits) == price


@given(st.integers(-(2**70), 2**70), st.integers(0, 22))
def test_what_the_wire_shows_is_the_double_nearest_to_the_decimal(whole: int, digits: int) -> None:
    assert from_points(whole, digits) == float(Decimal(whole).scaleb(-digits, context=Context(prec=60)))
    assert from_minor(whole, "USD") == float(f"{whole}e-2")


def test_a_price_rounds_on_its_shortest_decimal() -> None:
    assert round_price(1.005, 2) == 1.01
    assert round_price(-1.005, 2) == -1.01
    assert round_price(2.675, 2) == 2.68


@given(st.text(min_size=1, max_size=20))
def test_any_symbol_is_one_subject_token_and_back(symbol: str) -> None:
    safe = token(symbol)
    assert not set(safe) & set(". *>\t\r\n") and safe.isascii()
    assert untoken(safe) == symbol


def test_subjects_and_commands_keep_the_grammar() -> None:
    for subject in SUBJECTS:
        _owner, kind, *rest = subject.template.split(".")
        assert kind in {"tick", "evt", "push"}, subject
        assert (subject.stream is None) == (kind == "tick"), subject
        assert any(part.startswith("v") and part[1:].isdigit() for part in rest), subject
    for command in COMMANDS:
        _owner, kind, *rest = command.name.split(".")
        assert kind == "cmd" and rest[-1] == "v1" and command.callers, command
    names = [c.name for c in COMMANDS] + [s.template for s in SUBJECTS]
    assert len(names) == len(set(names))


def test_no_service_may_make_consumers_or_say_what_another_owns() -> None:
    users = nats_users(["auth", "market", "trading", "alerts", "gateway"])
    for name, rights in users.items():
        if name == "bootstrap":
            continue
        allowed = rights["publish"]["allow"]
        assert not [
            s for s in allowed if "CONSUMER.CREATE" in s or "CONSUMER.DURABLE" in s or s in (">", "$JS.API.>")
        ]
        facts = [s for s in allowed if ".evt." in s or ".push." in s or ".tick." in s]
        assert all(s.startswith(f"{name}.") for s in facts), (name, facts)


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_uuid7_is_well_formed_and_sorts_by_time(ms: int, noise: bytes) -> None:
    made = uuid7(ms, noise)
    assert made.version == 7 and made.variant == "specified in RFC 4122"
    assert made.int >> 80 == ms


@given(st.integers(0, 2**48 - 1), st.lists(st.binary(min_size=10, max_size=10), max_size=5))
def test_many_event_ids_at_once_are_those_made_one_by_one(ms: int, noise: list[bytes]) -> None:
    assert uuid7_texts(ms, b"".join(noise)) == [str(uuid7(ms, part)) for part in noise]


def test_event_ids_at_once_count_on() -> None:
    ids, others = CountedIds(), CountedIds()
    assert [*ids.event_ids(2), ids.event_id()] == [others.event_id() for _ in range(3)]
    assert len(set(RandomIds().event_ids(500))) == 500


def test_event_ids_do_not_repeat() -> None:
    ids = RandomIds()
    assert len({ids.event_id() for _ in range(1000)}) == 1000


@given(st.integers(0, 4102444800000))
def test_unix_milliseconds_are_exact_both_ways(ms: int) -> None:
    assert unix_ms(from_unix_ms(ms)) == ms


def test_a_manual_clock_moves_only_forward() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(1.5)
    assert (clock.now_ms(), clock.monotonic_s()) == (1767225601500, 1.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="naive"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001


def test_an_error_crosses_the_bus_unchanged() -> None:
    class Odd(AppError):
        """An odd thing happened."""

        code = "ODD"
        http_status = 418

    arrived = RemoteError(Odd("it did", field="x").body())
    assert (arrived.code, arrived.http_status, str(arrived), arrived.meta) == (
        "ODD",
        418,
        "it did",
        {"field": "x"},
    )
    assert str(Odd()) == "An odd thing happened."
    assert isinstance(arrived.body(), ErrorBody)


class Config(ServiceConfig, frozen=True, kw_only=True):
    feed: str
    seed: int = 1


GIVEN = {"DATABASE_URL": "postgresql://x", "NATS_URL": "nats://x"}


def test_configuration_takes_defaults_from_the_registry() -> None:
    config = load(Config, GIVEN)
    assert (config.feed, config.seed, config.metrics_port) == ("synthetic", 1, 0)
    assert load(Config, {**GIVEN, "TRADEWIND_SEED": "7"}).seed == 7


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({**GIVEN, "TRADEWIND_FEEED": "x"}, "TRADEWIND_FEEED is not a setting; did you mean TRADEWIND_FEED?"),
        ({"NATS_URL": "x"}, "DATABASE_URL is missing"),
        ({**GIVEN, "TRADEWIND_SEED": "many"}, "TRADEWIND_SEED can't be used: Expected `int`"),
    ],
)
def test_a_wrong_setting_is_said_in_one_line(environ: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load(Config, environ)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_of_another_service_is_fine() -> None:
    check_environment({"TRADEWIND_STRIPE_SECRET_KEY": "x", "HOME": "/"})
