"""What each subscriber hears, when it keeps up and when it does not."""

from __future__ import annotations

import pytest

from services.gateway.hub import TOO_SLOW, HubLimits
from services.gateway.pace import PaceLimits
from services.gateway.rounds import RoundLimits
from tests.unit.gateway.stage import Client, Stage, tick

EUR = ("raw", "EURUSD")
GBP = ("raw", "GBPUSD")


def say(stage: Stage, symbol: str, seq: int, profile: str = "raw") -> bytes:
    frame = tick(symbol, seq)
    stage.hub.on_tick(profile, symbol, frame)
    return frame


def small(**changes: object) -> HubLimits:
    return HubLimits(high_water_bytes=200, **changes)  # type: ignore[arg-type]


def stalled_client(stage: Stage) -> Client:
    """A client over the high-water mark that has read nothing yet."""
    client = stage.client()
    stage.hub.subscribe(client.connection, [EUR, GBP])
    for seq in range(1, 6):
        say(stage, "EURUSD", seq)
    stage.scheduler.settle()
    assert client.transport.get_write_buffer_size() >= 200
    return client


def test_a_quiet_house_sends_a_tick_in_the_same_turn() -> None:
    stage = Stage()
    client = stage.client()
    stage.hub.subscribe(client.connection, [EUR])
    sent = say(stage, "EURUSD", 1)
    stage.scheduler.turn()
    assert client.heard() == [sent]


def test_subscriber_gets_the_last_known_quote_at_once_and_then_only_newer_ones() -> None:
    stage = Stage()
    early = stage.client()
    stage.hub.subscribe(early.connection, [EUR])
    say(stage, "EURUSD", 1)
    last = say(stage, "EURUSD", 2)
    late = stage.client()
    stage.hub.subscribe(late.connection, [EUR])
    assert late.heard() == [last]
    new = say(stage, "EURUSD", 3)
    stage.scheduler.settle()
    assert late.heard() == [last, new]
    assert early.heard() == [tick("EURUSD", 1), last, new]


@pytest.mark.parametrize("digits", [1, 91, 200])  # 91 bytes: the header's length reads as a bracket
def test_last_value_is_the_text_as_it_came(digits: int) -> None:
    stage = Stage()
    assert stage.hub.last(EUR) is None
    text = b"[" + b"1" * (digits - 1)
    stage.hub.on_tick(*EUR, text)
    assert stage.hub.last(EUR) == text


def test_profiles_of_one_symbol_do_not_mix() -> None:
    stage = Stage()
    raw, wide = stage.client(), stage.client()
    stage.hub.subscribe(raw.connection, [("raw", "EURUSD")])
    stage.hub.subscribe(wide.connection, [("wide", "EURUSD")])
    one = say(stage, "EURUSD", 1, "raw")
    two = say(stage, "EURUSD", 2, "wide")
    stage.scheduler.settle()
    assert (raw.heard(), wide.heard()) == ([one], [two])


def test_frames_of_one_flush_are_one_write() -> None:
    stage = Stage()
    client = stage.client()
    stage.hub.subscribe(client.connection, [EUR, GBP])
    sent = [say(stage, symbol, seq) for seq in range(1, 6) for symbol in ("EURUSD", "GBPUSD")]
    stage.scheduler.settle()
    assert client.transport.writes == 1
    assert client.heard() == sent


def test_unsubscribed_and_detached_clients_hear_nothing_more() -> None:
    stage = Stage()
    leaver, goner = stage.client(), stage.client()
    for client in (leaver, goner):
        stage.hub.subscribe(client.connection, [EUR, GBP])
    stage.hub.unsubscribe(leaver.connection, [EUR, ("raw", "UNKNOWN")])
    stage.hub.detach(goner.connection)
    stage.hub.detach(goner.connection)
    say(stage, "EURUSD", 1)
    kept = say(stage, "GBPUSD", 1)
    stage.scheduler.settle()
    assert leaver.heard() == [kept]
    assert goner.heard() == []
    assert list(stage.hub.connections) == [leaver.connection]


def test_a_tick_before_the_unsubscribe_is_still_delivered() -> None:
    stage = Stage()
    client = stage.client()
    stage.hub.subscribe(client.connection, [EUR])
    sent = say(stage, "EURUSD", 1)
    stage.hub.unsubscribe(client.connection, [EUR])
    stage.scheduler.settle()
    assert client.heard() == [sent]


def test_many_sockets_are_written_in_turns() -> None:
    stage = Stage(HubLimits(rounds=RoundLimits(chunk_sockets=3)))
    clients = [stage.client() for _ in range(10)]
    for client in clients:
        stage.hub.subscribe(client.connection, [EUR])
    sent = [say(stage, "EURUSD", 1), say(stage, "EURUSD", 2)]
    stage.scheduler.turn()
    assert sum(client.transport.writes for client in clients) == 3
    stage.scheduler.settle()
    assert [client.heard() for client in clients] == [sent] * 10


def test_a_frame_that_came_alone_is_written_to_all_at_once_and_after_what_waits() -> None:
    stage = Stage()
    clients = [stage.client() for _ in range(10)]
    for client in clients:
        stage.hub.subscribe(client.connection, [EUR])
    stage.hub.join(clients[0].connection, 7)
    stage.hub.follow(clients[0].connection, resume=False, after=0)
    stage.hub.on_push(7, 1, b"[1]")
    sent = say(stage, "EURUSD", 1)
    stage.scheduler.turn()
    assert clients[0].heard() == [b"[1]", sent]
    assert [client.heard() for client in clients[1:]] == [[sent]] * 9
    assert stage.hub.counters.deliveries == 10


def test_ticks_that_come_during_a_flush_go_with_the_next_one_in_order() -> None:
    stage = Stage(HubLimits(single_sockets_max=1, rounds=RoundLimits(chunk_sockets=1)))
    clients = [stage.client() for _ in range(3)]
    for client in clients:
        stage.hub.subscribe(client.connection, [EUR])
    sent = [say(stage, "EURUSD", 1)]
    stage.scheduler.turn()
    sent.append(say(stage, "EURUSD", 2))
    stage.scheduler.settle()
    assert [client.heard() for client in clients] == [sent] * 3


def test_what_a_subscription_hands_out_during_a_flush_is_written_too() -> None:
    stage = Stage()
    first, second = stage.client(), stage.client()
    stage.hub.subscribe(first.connection, [EUR])
    sent = [say(stage, "EURUSD", 1)]
    stage.scheduler.turn()  # flushed, but its end not seen yet
    sent.append(say(stage, "EURUSD", 2))
    stage.hub.subscribe(second.connection, [GBP])
    stage.scheduler.settle()
    assert first.heard() == sent


def test_a_closing_transport_is_forgotten_and_others_hear_on() -> None:
    stage = Stage()
    closed, other = stage.client(), stage.client()
    for client in (closed, other):
        stage.hub.subscribe(client.connection, [EUR])
    closed.transport.closed = True
    sent = say(stage, "EURUSD", 1)
    stage.scheduler.settle()
    assert other.heard() == [sent]
    assert closed.connection not in stage.hub.connections


# ── slow sockets ──────────────────────────────────────────────────────────────────────────────────


def test_above_the_mark_only_the_latest_of_each_symbol_is_kept_and_counted() -> None:
    stage = Stage(small())
    client = stalled_client(stage)
    for seq in range(6, 106):
        say(stage, "EURUSD", seq)
        stage.scheduler.settle()
    say(stage, "GBPUSD", 1)
    stage.scheduler.settle()
    assert len(client.connection.held) == 2
    assert stage.hub.counters.conflated == 99
    client.transport.read()
    stage.scheduler.advance(0.1)
    assert client.heard() == [
        *(tick("EURUSD", seq) for seq in range(1, 6)),
        tick("EURUSD", 105),
        tick("GBPUSD", 1),
    ]
    again = say(stage, "EURUSD", 106)
    stage.scheduler.settle()
    assert client.heard()[-1] == again


def test_a_stalled_socket_does_not_hold_up_another() -> None:
    stage = Stage(small())
    stalled_client(stage)
    other = stage.client()
    stage.hub.subscribe(other.connection, [GBP])
    sent = [say(stage, "GBPUSD", seq) for seq in range(1, 4)]
    stage.scheduler.settle()
    assert other.heard() == sent


def test_account_events_are_all_kept_while_stalled() -> None:
    stage = Stage(small())
    client = stalled_client(stage)
    stage.hub.join(client.connection, 7)
    stage.hub.follow(client.connection, resume=False, after=0)
    events = [b'["b",7,%d]' % n for n in range(50)]
    for n, event in enumerate(events):
        stage.hub.on_push(7, n + 1, event)
        say(stage, "EURUSD", 6 + n)
    stage.scheduler.settle()
    client.transport.read()
    stage.scheduler.advance(0.1)
    heard = client.heard()
    assert [frame for frame in heard if frame.startswith(b'["b"')] == events
    assert heard[-1] == tick("EURUSD", 55)


@pytest.mark.parametrize("limits", [{"held_events_max": 10}, {"held_bytes_max": 150}])
def test_over_the_bound_of_events_the_socket_is_cut(limits: dict[str, int]) -> None:
    stage = Stage(small(**limits))
    client = stalled_client(stage)
    stage.hub.join(client.connection, 7)
    stage.hub.follow(client.connection, resume=False, after=0)
    for n in range(20):
        stage.hub.on_push(7, n + 1, b'["b",7,%010d]' % n)
    assert client.cuts == [TOO_SLOW]
    assert client.connection not in stage.hub.connections
    assert not client.connection.held
    assert stage.hub.counters.cut == 1


def test_stalled_for_too_long_is_cut_and_reading_in_time_is_not() -> None:
    stage = Stage(small(stall_s_max=10.0))
    reader, sleeper = stalled_client(stage), stalled_client(stage)
    for _ in range(12):
        stage.scheduler.advance(1.0)
        reader.transport.read()
        stage.scheduler.advance(0.1)
        stage.hub.sweep(stage.clock.monotonic_s())
    assert (reader.cuts, sleeper.cuts) == ([], [TOO_SLOW])


def test_subscribing_while_stalled_holds_the_last_quote() -> None:
    stage = Stage(small())
    client = stalled_client(stage)
    say(stage, "USDJPY", 1)
    stage.hub.subscribe(client.connection, [("raw", "USDJPY")])
    assert client.transport.frames() == []
    client.transport.read()
    stage.scheduler.advance(0.1)
    assert client.heard()[-1] == tick("USDJPY", 1)


def test_unsubscribing_while_stalled_drops_what_is_held() -> None:
    stage = Stage(small())
    client = stalled_client(stage)
    say(stage, "EURUSD", 6)
    stage.scheduler.settle()
    stage.hub.unsubscribe(client.connection, [EUR])
    client.transport.read()
    stage.scheduler.advance(0.1)
    assert client.heard()[-1] == tick("EURUSD", 5)


def test_more_than_one_flush_may_hold_is_merged_for_all() -> None:
    stage = Stage(HubLimits(log_frames_max=10))
    client = stage.client()
    stage.hub.subscribe(client.connection, [EUR, GBP])
    for seq in range(1, 101):
        say(stage, "EURUSD", seq)
        say(stage, "GBPUSD", seq)
    stage.scheduler.settle()
    heard = client.heard()
    assert heard[-2:] == [tick("EURUSD", 100), tick("GBPUSD", 100)]
    assert len(heard) + stage.hub.counters.conflated == 200
    assert len(heard) <= 11


# ── account events ────────────────────────────────────────────────────────────────────────────────


def test_events_go_to_every_follower_of_the_account_and_to_nobody_else() -> None:
    stage = Stage()
    one, two, other = stage.client(), stage.client(), stage.client()
    for client, login in ((one, 7), (two, 7), (other, 8)):
        stage.hub.join(client.connection, login)
        stage.hub.follow(client.connection, resume=False, after=0)
    stage.hub.on_push(7, 1, b'["b",7]')
    stage.scheduler.settle()
    assert (one.heard(), two.heard(), other.heard()) == ([b'["b",7]'], [b'["b",7]'], [])


def test_resumed_events_carry_their_seq() -> None:
    stage = Stage()
    client = stage.client()
    stage.hub.join(client.connection, 7)
    stage.hub.follow(client.connection, resume=True, after=3, reply=b'{"seq":3}')
    stage.hub.on_push(7, 4, b'["b",7]')
    stage.scheduler.settle()
    assert client.heard() == [b'{"seq":3}', b'{"seq":4,"event":["b",7]}']


def test_replay_meets_live_pushes_without_loss_or_repeat() -> None:
    stage = Stage()
    client = stage.client()
    stage.hub.join(client.connection, 7)
    # 12 and 13 come live while the history is read; it already holds 12.
    stage.hub.on_push(7, 12, b"[12]")
    stage.hub.on_push(7, 13, b"[13]")
    stage.hub.follow(
        client.connection,
        resume=False,
        after=10,
        reply=b"{}",
        replay=[(11, b"[11]"), (12, b"[12]")],
    )
    stage.hub.on_push(7, 13, b"[13]")
    stage.hub.on_push(7, 14, b"[14]")
    stage.scheduler.settle()
    assert client.heard() == [b"{}", b"[11]", b"[12]", b"[13]", b"[14]"]
    assert stage.hub.counters.repeated == 2


def test_a_history_that_began_anew_is_not_taken_for_repeats() -> None:
    stage = Stage()
    client = stage.client()
    stage.hub.join(client.connection, 7)
    stage.hub.follow(client.connection, resume=False, after=100)
    stage.hub.rewind_pushes()
    stage.hub.on_push(7, 5, b"[5]")
    stage.scheduler.settle()
    assert client.heard() == [b"[5]"]


def test_switching_follows_only_the_last_account() -> None:
    stage = Stage()
    client = stage.client()
    for login in (7, 8):
        stage.hub.join(client.connection, login)
        stage.hub.follow(client.connection, resume=False, after=0)
    stage.hub.on_push(7, 1, b"[7]")
    stage.hub.on_push(8, 2, b"[8]")
    stage.scheduler.settle()
    assert client.heard() == [b"[8]"]


def test_too_many_pushes_while_joining_cut_the_socket() -> None:
    stage = Stage(HubLimits(held_events_max=5))
    client = stage.client()
    stage.hub.join(client.connection, 7)
    for seq in range(1, 8):
        stage.hub.on_push(7, seq, b"[]")
    stage.hub.follow(client.connection, resume=False, after=0, reply=b"{}")
    assert (client.cuts, client.heard()) == ([TOO_SLOW], [])


# ── pace ──────────────────────────────────────────────────────────────────────────────────────────


def test_under_load_ticks_wait_for_each_other_and_none_is_lost() -> None:
    pace = PaceLimits(rate_low=5_000, rate_high=15_000, interval_s_max=0.040, writes_rate_goal=400)
    stage = Stage(HubLimits(rounds=RoundLimits(pace=pace)))
    clients = [stage.client() for _ in range(20)]
    for client in clients:
        stage.hub.subscribe(client.connection, [EUR])
    sent = []
    for seq in range(1, 2001):  # 1,000 a second for 20 sockets
        sent.append(say(stage, "EURUSD", seq))
        stage.scheduler.advance(0.001)
        for client in clients:
            client.transport.read()
    stage.scheduler.advance(0.1)
    assert stage.hub.rounds.pace.interval_s == pytest.approx(0.040)
    assert all(client.heard() == sent for client in clients)
    assert clients[0].transport.writes < 1000
