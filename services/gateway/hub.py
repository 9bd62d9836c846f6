"""The stream hub of one gateway process: what the bus says, to every socket that asked for it.

- A channel is one stream of latest values (a quote of one price profile, a token price). Its frame
  is built once and the same bytes go to every subscriber; nothing is decoded on the way.
- Between two flushes the hub only writes down what came. A flush hands it out and makes one write
  per socket. `pace.Pace` says how long to wait for the next.
- A socket whose write buffer is below the high-water mark gets every frame in order. From the mark
  on it is *stalled*: quotes are merged to the latest per channel (counted), everything else queues
  in order up to a bound and is never dropped. Stalled for too long or over the bound: it is cut.
- An account's pushes go to the connections that follow the account, in the order of their ``seq``.

Owner: the event loop's thread. Nothing here waits; nothing here may be called from another thread.
Connections are attached and detached by their socket; a cut is asked of the socket, never done here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from libs.common.clock import Clock
from services.gateway.connections import Channel, Connection, Transport
from services.gateway.frames import payload_of, text_frame
from services.gateway.rounds import RoundLimits, Rounds, Scheduler

TOO_SLOW = 4413


@dataclass(frozen=True, slots=True)
class HubLimits:
    """Every bound of the hub; the policy at each stands in the module's text."""

    high_water_bytes: int = 65_536
    held_events_max: int = 1_000
    held_bytes_max: int = 1_048_576
    stall_s_max: float = 10.0
    stall_retry_s: float = 0.02
    log_frames_max: int = 20_000  # frames waiting for one flush; beyond it all are merged
    single_sockets_max: int = 1_000  # written in one turn when there is one frame for them
    rounds: RoundLimits = field(default_factory=RoundLimits)


@dataclass(slots=True)
class HubCounters:
    """What the hub did since its start. Plain numbers: a scrape reads them, the hot path adds."""

    frames_in: int = 0
    pushes_in: int = 0
    deliveries: int = 0
    events: int = 0
    conflated: int = 0
    repeated: int = 0
    writes: int = 0
    stalls: int = 0
    cut: int = 0


class Hub:
    """Fans out channels and account pushes to the connections of one process."""

    def __init__(
        self,
        *,
        clock: Clock,
        scheduler: Scheduler,
        cpu_s: Callable[[], float],
        limits: HubLimits | None = None,
    ) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._limits = limits or HubLimits()
        self.counters = HubCounters()
        self.connections: dict[Connection, None] = {}
        self.stalled: dict[Connection, None] = {}
        self._channels: dict[Hashable, Channel] = {}
        self._accounts: dict[int, dict[Connection, None]] = {}
        self._log: list[tuple[Channel, bytes]] = []
        self._urgent: list[Connection] = []
        self._retry_planned = False
        self.rounds = Rounds(
            clock=clock,
            scheduler=scheduler,
            cpu_s=cpu_s,
            hand_out=self._distribute,
            write=self._write_pending,
            write_single=self._write_single,
            limits=self._limits.rounds,
        )

    # ── what the bus says ─────────────────────────────────────────────────────────────────────────

    def on_tick(self, profile: str, symbol: str, frame: bytes) -> None:
        """A quote of a price profile, as the bus carries it."""
        self.on_channel((profile, symbol), frame)

    def on_channel(self, key: Hashable, frame: bytes) -> None:
        """The newest value of any channel: a JSON text that goes out as it is."""
        framed = text_frame(frame)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(key)
        channel.last = framed
        self.counters.frames_in += 1
        if channel.fast or channel.slow:
            self._log.append((channel, framed))
            self.rounds.plan()
            if len(self._log) >= self._limits.log_frames_max:
                self._merge_log()

    def on_push(self, login: int, seq: int, frame: bytes) -> None:
        """An event of one account; ``seq`` only grows, a repeat of it is dropped per connection."""
        self.counters.pushes_in += 1
        followers = self._accounts.get(login)
        if not followers:
            return
        for connection in tuple(followers):
            if connection.joining is None:
                self._push(connection, seq, frame)
            elif len(connection.joining) < self._limits.held_events_max:
                connection.joining.append((seq, frame))
            else:
                self._cut(connection)

    def rewind_pushes(self) -> None:
        """The push history began anew with lower numbers: what comes next is no repeat."""
        for connection in self.connections:
            connection.seq = 0

    # ── what a socket asks ────────────────────────────────────────────────────────────────────────

    def attach(self, transport: Transport, cut: Callable[[int], None]) -> Connection:
        """Take a socket in. ``cut(code)`` is called once when the hub gives it up."""
        connection = Connection(transport, cut)
        self.connections[connection] = None
        self.rounds.attach(connection)
        return connection

    def detach(self, connection: Connection) -> None:
        """Forget a socket: nothing is written to it any more. Twice is fine."""
        self.leave(connection)
        for channel in connection.channels.values():
            self._forget(channel, connection)
        connection.channels.clear()
        connection.pending.clear()
        connection.take_held()
        connection.stalled_s = None
        self.stalled.pop(connection, None)
        self.rounds.detach(connection)
        self.connections.pop(connection, None)

    def subscribe(self, connection: Connection, keys: Sequence[Hashable]) -> None:
        """Hear these channels from now on; the last known value of each goes out at once."""
        if connection not in self.connections:
            return
        self._distribute()  # what came before belongs to those who were there
        self._write_pending((connection,))
        latest = [last for key in keys if (last := self._join(connection, key).last) is not None]
        if connection.stalled_s is None:
            connection.pending += latest
            self._write_pending((connection,))
            return
        for key in keys:
            channel = connection.channels[key]
            if channel.last is not None:
                self.counters.conflated += connection.hold_latest(channel, channel.last)

    def unsubscribe(self, connection: Connection, keys: Iterable[Hashable]) -> None:
        """Hear these channels no more; unknown ones are fine."""
        self._distribute()
        for key in keys:
            channel = connection.channels.pop(key, None)
            if channel is not None:
                connection.held.pop(channel, None)
                self._forget(channel, connection)

    def send(self, connection: Connection, framed: bytes) -> None:
        """Send a frame that may not be dropped, after everything that waits before it."""
        if connection not in self.connections:
            return
        if connection.stalled_s is None:
            connection.pending.append(framed)
            self._write_pending((connection,))
        else:
            self._hold_event(connection, framed)

    def settle(self, connection: Connection) -> None:
        """Write what waits for this socket now: it is about to be closed."""
        self._distribute()
        self._write_pending((connection,))

    def join(self, connection: Connection, login: int) -> None:
        """Begin to follow an account: its pushes are kept aside until `follow` says from where."""
        self.leave(connection)
        if connection in self.connections:
            connection.login = login
            connection.joining = []
            self._accounts.setdefault(login, {})[connection] = None

    def follow(
        self,
        connection: Connection,
        *,
        resume: bool,
        after: int,
        reply: bytes = b"",
        replay: Sequence[tuple[int, bytes]] = (),
    ) -> None:
        """Go on live: the reply, then what is replayed, then every push with a ``seq`` above ``after``.

        ``after`` is raised by what is replayed, so an event that is in the history and also came
        meanwhile is sent once.
        """
        waiting = connection.joining
        if waiting is None:
            return
        connection.joining = None
        connection.resume = resume
        connection.seq = after
        if reply:
            self.send(connection, text_frame(reply))
        for seq, frame in (*replay, *waiting):
            self._push(connection, seq, frame)

    def leave(self, connection: Connection) -> None:
        """Follow no account."""
        if connection.login is None:
            return
        followers = self._accounts.get(connection.login)
        if followers is not None:
            followers.pop(connection, None)
            if not followers:
                del self._accounts[connection.login]
        connection.login = connection.joining = None

    def last(self, key: Hashable) -> bytes | None:
        """The last JSON text of a channel; None when nothing came yet."""
        channel = self._channels.get(key)
        return None if channel is None or channel.last is None else payload_of(channel.last)

    def sweep(self, now_s: float) -> None:
        """Give up the sockets that have been stalled for too long."""
        for connection in tuple(self.stalled):
            if connection.stalled_s is not None and now_s - connection.stalled_s >= self._limits.stall_s_max:
                self._cut(connection)

    # ── handing out ───────────────────────────────────────────────────────────────────────────────

    def _join(self, connection: Connection, key: Hashable) -> Channel:
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(key)
        connection.channels[key] = channel
        if connection.stalled_s is None:
            channel.fast[connection] = connection.pending.append
        else:
            channel.slow[connection] = None
        return channel

    def _forget(self, channel: Channel, connection: Connection) -> None:
        channel.fast.pop(connection, None)
        channel.slow.pop(connection, None)
        if channel.last is None and not channel.fast and not channel.slow:
            self._channels.pop(channel.key, None)

    def _merge_log(self) -> None:
        # More came than one flush may hold: the latest per channel stays, for everyone.
        latest: dict[Channel, bytes] = {}
        for channel, framed in self._log:
            if latest.pop(channel, None) is not None:
                self.counters.conflated += len(channel.fast) + len(channel.slow)
            latest[channel] = framed
        self._log = list(latest.items())

    def _distribute(self) -> None:
        """Put what came into the connections' own queues."""
        log = self._log
        if not log:
            return
        self._log = []
        self._recheck_stalled()
        counters = self.counters
        delivered = 0
        for channel, framed in log:
            for append in channel.fast.values():
                append(framed)
            delivered += len(channel.fast)
            for connection in channel.slow:
                counters.conflated += connection.hold_latest(channel, framed)
        counters.deliveries += delivered
        self.rounds.handed_out([channel.fast for channel in dict(log)], delivered)

    def _push(self, connection: Connection, seq: int, frame: bytes) -> None:
        if seq <= connection.seq:
            self.counters.repeated += 1
            return
        connection.seq = seq
        framed = text_frame(b'{"seq":%d,"event":%b}' % (seq, frame) if connection.resume else frame)
        self.counters.events += 1
        if connection.stalled_s is not None:
            self._hold_event(connection, framed)
            return
        connection.pending.append(framed)
        if not self._urgent:
            self._scheduler.call_soon(self._write_urgent)
        self._urgent.append(connection)

    def _write_urgent(self) -> None:
        urgent, self._urgent = self._urgent, []
        self._write_pending(urgent)

    def _write_pending(self, connections: Iterable[Connection]) -> None:
        """One write to each of these sockets that has something; the hot loop of the process."""
        high_water, join = self._limits.high_water_bytes, b"".join
        writes = 0
        for connection in connections:
            pending = connection.pending
            if not pending:
                continue
            data = pending[0] if len(pending) == 1 else join(pending)
            pending.clear()
            transport = connection.transport
            writes += 1
            try:
                transport.write(data)
            except RuntimeError:
                # uvloop refuses to write to a closing transport. Its socket is about to detach.
                self.detach(connection)
                continue
            if transport.get_write_buffer_size() >= high_water:
                self._stall(connection)
        self.counters.writes += writes

    def _write_single(self) -> int:
        """Write a frame that came alone straight to its subscribers; how many, 0 when it is not so.

        The usual case of a house that is not busy: no queue is filled only to be emptied.
        """
        if len(self._log) != 1 or len(self._log[0][0].fast) > self._limits.single_sockets_max:
            return 0
        channel, framed = self._log.pop()
        self._recheck_stalled()
        high_water, receivers = self._limits.high_water_bytes, tuple(channel.fast)
        for connection in channel.slow:
            self.counters.conflated += connection.hold_latest(channel, framed)
        for connection in receivers:
            if connection.pending:
                connection.pending.append(framed)
                self._write_pending((connection,))
                continue
            transport = connection.transport
            try:
                transport.write(framed)
            except RuntimeError:
                self.detach(connection)
                continue
            if transport.get_write_buffer_size() >= high_water:
                self._stall(connection)
        self.counters.writes += len(receivers)
        self.counters.deliveries += len(receivers)
        return len(receivers)

    # ── slow sockets ──────────────────────────────────────────────────────────────────────────────

    def _stall(self, connection: Connection) -> None:
        connection.stalled_s = self._clock.monotonic_s()
        self.counters.stalls += 1
        self.stalled[connection] = None
        for channel in connection.channels.values():
            del channel.fast[connection]
            channel.slow[connection] = None
        self._plan_retry()

    def _plan_retry(self) -> None:
        if not self._retry_planned and self.stalled:
            self._retry_planned = True
            self._scheduler.call_later(self._limits.stall_retry_s, self._retry)

    def _retry(self) -> None:
        self._retry_planned = False
        self._recheck_stalled()
        self._plan_retry()

    def _recheck_stalled(self) -> None:
        for connection in tuple(self.stalled):
            if connection.transport.get_write_buffer_size() < self._limits.high_water_bytes:
                self._resume(connection)

    def _resume(self, connection: Connection) -> None:
        # What is held may stall it again at once; it then has a new time, since it did read.
        del self.stalled[connection]
        connection.stalled_s = None
        for channel in connection.channels.values():
            del channel.slow[connection]
            channel.fast[connection] = connection.pending.append
        self.counters.deliveries += len(connection.held) - connection.held_events
        connection.pending += connection.take_held()
        self._write_pending((connection,))

    def _hold_event(self, connection: Connection, framed: bytes) -> None:
        connection.hold_event(framed)
        limits = self._limits
        if connection.held_events > limits.held_events_max or connection.held_bytes > limits.held_bytes_max:
            self._cut(connection)

    def _cut(self, connection: Connection) -> None:
        if connection.cut_code is not None or connection not in self.connections:
            return
        connection.cut_code = TOO_SLOW
        self.counters.cut += 1
        self.detach(connection)
        connection.cut(TOO_SLOW)
