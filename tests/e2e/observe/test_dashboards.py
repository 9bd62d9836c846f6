"""Every panel and alarm on a running house: queries answer, values move, faults ring and stop ringing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from deploy.grafana.boards import BOARDS
from deploy.grafana.render import draw, filled
from deploy.local.files import read_json
from deploy.local.processes import wait_until
from deploy.prometheus.rules import alarm_rules, slo_rules
from deploy.prometheus.server import Prometheus, prometheus_over
from tests.e2e.observe.load import keep_busy
from tests.real_stack import RealStack, real_stack
from tests.tools import debian_tool

pytestmark = pytest.mark.e2e

SCALE = 60
ONE = "[{labels: '{}', value: 1}]"
LOAD_S = 60.0
SERIES_MAX = 2_000
SCRAPE_S_MAX = 0.5  # of a loaded test machine; what a quiet one needs is measured by the bench
STACK_TIMEOUT_S = 900


@dataclass
class Watched:
    """A house under a Prometheus whose windows are a sixtieth of their size."""

    stack: RealStack
    prometheus: Prometheus

    def dsn(self) -> str:
        password = read_json(self.stack.data / "secrets.json")["postgres"]
        port = read_json(self.stack.data / "ports.json")["postgres"]
        return f"postgresql://tradewind:{password}@127.0.0.1:{port}/tradewind"

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
    with (
        real_stack(folder, FEED="synthetic", SEED="7") as stack,
        prometheus_over(stack.data / "prometheus-targets.json", folder / "prometheus", rules=rules) as server,
    ):
        asyncio.run(keep_busy(stack.url, LOAD_S))
        yield Watched(stack, server)


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
        (0.5, 1500, "RestAvailabilitySlow"),
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
        f'      - series: tradewind_gateway_requests_total{{route="a",status="{status}"}}\n'
        f"        values: 0+{step:g}x{minutes}\n"
        for status, step in ((200, 1000 - bad), (503, bad))
    )
    (tmp_path / "test.yml").write_text(
        "rule_files: [slos.yml]\nevaluation_interval: 30s\ntests:\n  - interval: 1m\n"
        f"    input_series:\n{series}    promql_expr_test:\n{ringing}"
    )
    done = subprocess.run(
        [promtool, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(STACK_TIMEOUT_S)
def test_every_panel_of_every_board_says_something_that_moves(watched: Watched, tmp_path: Path) -> None:
    silent, still = [], []
    end = watched.prometheus.now_s()
    for board in BOARDS:
        for row in board.rows:
            for panel in row.panels:
                series = [
                    one
                    for query in panel.queries
                    for one in watched.prometheus.query_range(filled(query.expr), end - LOAD_S, end, 1.0)
                ]
                values = [float(v) for one in series for _, v in one["values"] if v != "NaN"]
                name = f"{board.title}/{panel.title}"
                if not series and not panel.still:
                    silent.append(name)
                elif not panel.still and not any(values):
                    still.append(name)
        draw(board, watched.prometheus, LOAD_S, tmp_path / f"{board.uid}.png")
        assert (tmp_path / f"{board.uid}.png").stat().st_size > 10_000
    assert (silent, still) == ([], [])


def test_a_scrape_is_small_and_quick(watched: Watched) -> None:
    for sample in watched.prometheus.query("scrape_samples_scraped"):
        assert float(sample["value"][1]) <= SERIES_MAX, sample["metric"]
    for sample in watched.prometheus.query("quantile_over_time(0.5, scrape_duration_seconds[30s])"):
        assert float(sample["value"][1]) <= SCRAPE_S_MAX, sample["metric"]


def test_a_healthy_house_rings_no_alarm(watched: Watched) -> None:
    watched.clears(*watched.prometheus.alerts(), within_s=30.0)


@pytest.mark.timeout(STACK_TIMEOUT_S)
def test_a_process_that_keeps_ending(watched: Watched) -> None:
    for _ in range(4):
        before = watched.stack.pid("pricing")
        with suppress(ProcessLookupError):
            os.kill(before, signal.SIGKILL)
        wait_until(lambda pid=before: watched.stack.pid("pricing") != pid, seconds=30.0)  # type: ignore[misc]
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
    def rings() -> bool:
        with suppress(ProcessLookupError):
            os.kill(watched.stack.pid(server), signal.SIGKILL)
        time.sleep(
            0.5
        )  # the supervisor starts it again with growing delay: sooner or later a scrape meets none
        return watched.prometheus.alerts().get(alarm) == "firing"

    assert wait_until(rings, seconds=60.0)
    watched.clears(alarm, "ProcessDown", "ProcessRestarting", "MetricsMissing")


@pytest.mark.timeout(STACK_TIMEOUT_S)
def test_services_that_do_not_answer_break_the_service_levels(watched: Watched) -> None:
    pid = watched.stack.pid("trading")
    os.kill(pid, signal.SIGSTOP)
    try:
        asyncio.run(keep_busy_without_trading(watched))
        watched.fires("RestAvailability", "RestLatency")
    finally:
        os.kill(pid, signal.SIGCONT)
    asyncio.run(keep_busy(watched.stack.url, 10.0, people=1))
    watched.clears("RestAvailability", "RestLatency", within_s=500.0)


async def keep_busy_without_trading(watched: Watched) -> None:
    """Ask for what trading would have to answer, with the staff's token: nobody can sign up now."""
    token = watched.stack.call("/sign/in", {"login": 1, "password": "open sesame"})["__token"]

    def ask() -> None:
        with suppress(RuntimeError, OSError):
            watched.stack.call("/trades?tradeType=0&login=100000", token=token)

    for _ in range(4):
        await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(8)))


@pytest.mark.timeout(STACK_TIMEOUT_S)
async def test_facts_that_nobody_takes_and_sessions_that_crowd(watched: Watched) -> None:
    connection = await asyncpg.connect(watched.dsn())
    await connection.execute(
        "INSERT INTO notifier.outbox (event_id, stream, subject, payload)"
        " VALUES ('stuck', 'NOSUCH', 'nosuch.evt.nothing.v1', '\\x00')"
    )
    crowd = []
    try:
        most = int(await connection.fetchval("SHOW max_connections"))
        with suppress(asyncpg.PostgresError):
            for _ in range(int(most * 0.85)):
                crowd.append(await asyncpg.connect(watched.dsn()))
        await asyncio.to_thread(watched.fires, "DatabaseCrowded")
        await asyncio.to_thread(watched.fires, "OutboxStuck", within_s=90.0)
    finally:
        for each in crowd:
            await each.close()
        await connection.execute("DELETE FROM notifier.outbox WHERE event_id = 'stuck'")
        await connection.close()
    await asyncio.to_thread(watched.clears, "DatabaseCrowded", "OutboxStuck")
