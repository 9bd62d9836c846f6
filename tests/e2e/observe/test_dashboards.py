"""Every panel and alarm on a running house: queries answer, values move, faults ring and stop ringing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from deploy.grafana.boards import BOARDS
from deploy.grafana.render import draw, look
from deploy.local.files import read_json
from deploy.local.processes import wait_until
from deploy.prometheus.rules import alarm_rules, slo_rules
from deploy.prometheus.server import Prometheus, prometheus_over
from deploy.prometheus.slos import SLOS
from tests.client import Client
from tests.e2e.observe.load import admin_dsn, keep_busy
from tests.real_stack import RealStack, real_stack
from tests.tools import debian_tool

pytestmark = pytest.mark.e2e

SCALE = 60
ONE = "[{labels: '{}', value: 1}]"
LOAD_S = 60.0
FIRST_S = 15.0
SERIES_MAX = 2_000
STACK_TIMEOUT_S = 900


@dataclass
class Watched:
    """A house under a Prometheus whose windows are a sixtieth of their size."""

    stack: RealStack
    prometheus: Prometheus

    begun_s: float  # when the load began and was over, Prometheus's time
    end_s: float

    def fires(self, *names: str, within_s: float = 60.0) -> None:
        """Wait until every alarm of ``names`` has fired, each at some time."""
        seen: set[str] = set()

        def all_seen() -> bool:
            seen.update(n for n, state in self.prometheus.alerts().items() if state == "firing")
            return set(names) <= seen

        assert wait_until(all_seen, seconds=within_s), (names, seen, self.stack.text()[-2000:])

    def clears(self, *names: str, within_s: float = 120.0) -> None:
        """Wait until none of ``names`` is firing or pending."""
        assert wait_until(lambda: not set(names) & set(self.prometheus.alerts()), seconds=within_s), (
            self.prometheus.alerts()
        )


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    debian_tool("prometheus")
    folder = tmp_path_factory.mktemp("observed")
    rules = {"slos.yml": slo_rules(SCALE), "alarms.yml": alarm_rules(SCALE)}
    with ExitStack() as opened:
        stack = opened.enter_context(
            real_stack(folder, FEED="synthetic", SEED="7", TRACE_SAMPLE="1", NOTIFY_ALLOW_PRIVATE="on")
        )
        # A sixtieth of an hour: the seconds in which a house that just started loads its past would be a part
        # of it that no hour has.
        asyncio.run(keep_busy(stack.url, FIRST_S))
        server = opened.enter_context(
            prometheus_over(stack.data / "prometheus-targets.json", folder / "prometheus", rules=rules)
        )
        targets = len(read_json(stack.data / "prometheus-targets.json"))
        assert wait_until(lambda: len(server.query("up == 1")) == targets, seconds=60.0)
        begun_s = server.now_s()
        asyncio.run(keep_busy(stack.url, LOAD_S, data=stack.data))
        yield Watched(stack, server, begun_s, server.now_s())


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    promtool = debian_tool("promtool", "prometheus")
    for scale in (1, SCALE):
        (tmp_path / "rules.yml").write_text(slo_rules(scale) + alarm_rules(scale).removeprefix("groups:\n"))
        done = subprocess.run(
            [promtool, "check", "rules", tmp_path / "rules.yml"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("errors_pct", "minutes", "fires"),
    [
        (0, 70, ""),
        (0.2, 70, ""),
        (2, 70, "RestAvailability"),
        (50, 6, "RestAvailability"),
        (0.5, 200, "RestAvailabilitySlow"),
    ],
)
def test_the_arithmetic_of_burn_rates(tmp_path: Path, errors_pct: float, minutes: int, fires: str) -> None:
    """Some requests are 5xx: a page at 1.44 % over an hour, a ticket at 0.3 % over a day."""
    promtool = debian_tool("promtool", "prometheus")
    (tmp_path / "slos.yml").write_text(slo_rules())
    bad = errors_pct * 10
    ringing = "".join(
        f'      - expr: count(ALERTS{{alertname="{name}",alertstate="firing"}})\n'
        f"        eval_time: {minutes}m\n"
        f"        exp_samples: {ONE if name == fires else '[]'}\n"
        for name in ("RestAvailability", "RestAvailabilitySlow")
        if name == fires or not fires
    )
    series = "".join(
        f'      - series: tradewind_gateway_answers_total{{surface="a",kind="{kind}"}}\n'
        f"        values: 0+{step:g}x{minutes}\n"
        for kind, step in (("2xx", 1000 - bad), ("5xx", bad))
    )
    (tmp_path / "test.yml").write_text(
        "rule_files: [slos.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n"
        f"    input_series:\n{series}    promql_expr_test:\n{ringing}"
    )
    done = subprocess.run(
        [promtool, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(STACK_TIMEOUT_S)
def test_every_panel_of_every_board_says_something_that_moves(watched: Watched, tmp_path: Path) -> None:
    silent, still = [], []
    for board in BOARDS:
        looked = look(board, watched.prometheus, watched.begun_s, watched.end_s)
        for panel, lines in looked.items():
            if panel.still:
                continue
            if not lines:
                silent.append(f"{board.title}/{panel.title}")
            elif not any(value for line in lines for value in line.values):
                still.append(f"{board.title}/{panel.title}")
        picture = tmp_path / f"{board.uid}.png"
        draw(board, looked, watched.end_s, picture)
        assert picture.stat().st_size > 10_000
    assert (silent, still) == ([], [])


@pytest.mark.parametrize(
    "histogram",
    [
        "tradewind_gateway_request_seconds_bucket",
        'tradewind_command_seconds_bucket{command="trading.cmd.trade.open.v1"}',
        "tradewind_alerts_latency_seconds_bucket",
        'tradewind_notifier_delivery_seconds_bucket{channel="webhook"}',
    ],
)
def test_a_slow_one_leads_to_its_trace(watched: Watched, histogram: str) -> None:
    """Exemplars are scraped, and ``tradewind trace`` tells the story of one."""
    traces = watched.prometheus.exemplars(histogram, watched.begun_s, watched.end_s)
    assert traces
    told = watched.stack.run("trace", traces[-1])
    assert (told.returncode, len(told.stdout.splitlines()) >= 1) == (0, True), told


def test_a_scrape_is_small(watched: Watched) -> None:
    for sample in watched.prometheus.query("scrape_samples_scraped"):
        assert float(sample["value"][1]) <= SERIES_MAX, sample["metric"]


def test_a_healthy_house_rings_no_alarm(watched: Watched) -> None:
    """Save those of latency: a disk that takes its time over a commit makes them ring, as they should."""
    latency = {name for slo in SLOS if "le=" in slo.good for name in (slo.name, f"{slo.name}Slow")}
    watched.clears(*watched.prometheus.alerts().keys() - latency, within_s=30.0)


@pytest.mark.timeout(STACK_TIMEOUT_S)
def test_a_process_that_keeps_ending(watched: Watched) -> None:
    for _ in range(4):
        before = watched.stack.pid("pricing")
        with suppress(ProcessLookupError):
            os.kill(before, signal.SIGKILL)
        assert wait_until(lambda pid=before: watched.stack.pid("pricing") != pid, seconds=60.0)  # type: ignore[misc]
    watched.fires("ProcessDown", "ProcessRestarting")
    watched.clears("ProcessDown", "ProcessRestarting", "MetricsMissing")


@pytest.mark.timeout(STACK_TIMEOUT_S)
def test_a_process_that_sleeps_and_wakes(watched: Watched) -> None:
    pid = watched.stack.pid("alerts")
    os.kill(pid, signal.SIGSTOP)
    try:
        watched.fires("MetricsMissing")
    finally:
        os.kill(pid, signal.SIGCONT)
    watched.fires("EventLoopLate")
    watched.clears("MetricsMissing", "EventLoopLate")


@pytest.mark.timeout(STACK_TIMEOUT_S)
@pytest.mark.parametrize(("server", "alarm"), [("postgres", "PostgresDown"), ("nats", "NatsDown")])
def test_a_server_that_is_away(watched: Watched, server: str, alarm: str) -> None:
    """The supervisor starts it again with growing delay: sooner or later a scrape meets none."""

    def rings() -> bool:
        with suppress(ProcessLookupError):
            os.kill(watched.stack.pid(server), signal.SIGKILL)
        return wait_until(lambda: watched.prometheus.alerts().get(alarm) == "firing", seconds=0.5)

    assert wait_until(rings, seconds=60.0)
    watched.clears(alarm, "ProcessDown", "ProcessRestarting", "MetricsMissing")


@pytest.mark.timeout(STACK_TIMEOUT_S)
def test_a_service_that_does_not_answer_breaks_the_service_levels(watched: Watched) -> None:
    over = threading.Event()
    asking = threading.Thread(target=lambda: asyncio.run(ask_for_trades(watched, over)))
    asking.start()
    try:
        watched.fires("RestAvailability", "RestLatency", within_s=120.0)
    finally:
        over.set()
        asking.join()
    asyncio.run(keep_busy(watched.stack.url, 10.0, people=1))
    watched.clears("RestAvailability", "RestLatency", within_s=200.0)


async def ask_for_trades(watched: Watched, over: threading.Event) -> None:
    """Eight at a time ask for what trading has to answer, which sleeps."""
    async with aiohttp.ClientSession() as session:
        client = Client(session, watched.stack.url)
        await client.sign_up()
        pid = watched.stack.pid("trading")
        os.kill(pid, signal.SIGSTOP)
        try:
            while not over.is_set():
                asked = (client.ask("GET", "/trades?tradeType=0") for _ in range(8))
                await asyncio.gather(*asked, return_exceptions=True)
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(STACK_TIMEOUT_S)
async def test_facts_that_nobody_takes_and_sessions_that_crowd(watched: Watched) -> None:
    dsn = admin_dsn(watched.stack.data)
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO notifier.outbox (event_id, stream, subject, payload)"
        " VALUES ('stuck', 'NOSUCH', 'nosuch.evt.nothing.v1', '\\x00')"
    )
    crowd = []
    try:
        most = int(await connection.fetchval("SHOW max_connections"))
        there = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL")
        for _ in range(int(most * 0.86) - there):
            crowd.append(await asyncpg.connect(dsn))
        await asyncio.to_thread(watched.fires, "DatabaseCrowded")
        await asyncio.to_thread(watched.fires, "OutboxStuck", within_s=120.0)
    finally:
        for each in crowd:
            await each.close()
        await connection.execute("DELETE FROM notifier.outbox WHERE event_id = 'stuck'")
        await connection.close()
    await asyncio.to_thread(watched.clears, "DatabaseCrowded", "OutboxStuck")
