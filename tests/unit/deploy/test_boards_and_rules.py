"""Boards and rules: every metric they name exists, every alarm has a runbook, names keep to the rule."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.registry import Collector

from deploy.exporter.nats import nats_metrics
from deploy.exporter.postgres import PostgresMetrics
from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import grafana
from deploy.prometheus.alarms import ALARMS
from deploy.prometheus.rules import alarm_rules, slo_rules
from deploy.prometheus.slos import BURNS, SLOS
from libs.common.config import SETTINGS
from services.gateway.endpoints import ENDPOINTS

ROOT = Path(__file__).resolve().parents[3]
NAME = re.compile(r"\b(?:tradewind|process)_[a-z0-9_]+|\bslo:[A-Za-z]+:[a-z0-9_]+")
UNITS = (
    "_seconds|_bytes|_total|_info|_ratio|_percent|_micros|_rows|_calls|_ticks|_messages|_alerts|_orders|_trades"
    "|_tokens|_pools|_places|_records|_deliveries|_sockets|_connections|_subscriptions|_sessions|_locks|_symbols"
    "|_groups|_facts|_holes|_frames|_commands|_payments|_charts|_grants|_holds|_patterns|_bars|_reloads|_defects"
    "|_up|_max|_epoch|_last|_rounds|_per_second|_hits|_accounts|_decisions|_notices|_attempts|_summaries"
    "|_consumers|_blocks|_commits|_rollbacks|_deadlocks|_checkpoints|_restarts|_stalls|_sign_ins|_sign_ups|_callbacks|_leases_lost|_overdue|_level|_opened|_rules|_signals"
    "|_failures|_lost_total|_batches"
)
WRITTEN = re.compile(r'"(tradewind_[a-z0-9_]+)"')


def written() -> set[str]:
    """Every metric name that stands in the code."""
    files = [p for room in ("libs", "services", "deploy/exporter") for p in (ROOT / room).rglob("*.py")]
    names = {name for path in files for name in WRITTEN.findall(path.read_text())}
    gauges = (ROOT / "services/gateway/gauges.py").read_text()
    return names | {f"tradewind_gateway_stream_{name}" for name in re.findall(r'"([a-z_]+)", "[A-Z]', gauges)}


def base(name: str) -> set[str]:
    """The names a sample's metric may have been made under."""
    stem = re.sub(r"_(bucket|count|sum)$", "", name)
    return {name, stem, stem.removesuffix("_total"), name.removesuffix("_total")}


def asked() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of every panel and rule."""
    for board in BOARDS:
        for row in board.rows:
            for panel in row.panels:
                yield from ((f"{board.title}/{panel.title}", query.expr) for query in panel.queries)
    for slo in SLOS:
        yield from ((slo.name, expr) for expr in (slo.good, slo.all))
    yield from ((alarm.name, alarm.expr) for alarm in ALARMS)


def test_every_metric_of_a_panel_or_rule_exists() -> None:
    known = written()
    recorded = set(re.findall(r"record: (\S+)", slo_rules()))
    process = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
    missing = [
        (where, name)
        for where, expr in asked()
        for name in NAME.findall(expr)
        if not (base(name) & known or name in recorded or name in process)
    ]
    assert missing == []


def test_names_end_in_what_they_count() -> None:
    assert [name for name in sorted(written()) if not re.search(f"({UNITS})$", name)] == []
    assert all(re.fullmatch(r"tradewind(_[a-z0-9]+)+", name) for name in written())


def test_no_label_names_a_user() -> None:
    """Labels of everything the services register: none of a person, an account, a key or an address."""
    for path in sorted((ROOT / "services").glob("*/metrics.py")):
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    forbidden = {
        "login",
        "account",
        "user",
        "email",
        "person",
        "customer",
        "key",
        "address",
        "ip",
        "token_id",
    }
    registry: CollectorRegistry = REGISTRY
    collectors: set[Collector] = set(registry._collector_to_names)
    for collector in collectors:
        labels = set(getattr(collector, "_labelnames", ()))
        assert not labels & forbidden, collector


@pytest.mark.parametrize("scale", [1, 60])
def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm(scale: int) -> None:
    text = slo_rules(scale) + alarm_rules(scale)
    named = {Path(path).stem for path in re.findall(r"runbook: (\S+)", text)}
    assert named == {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")}
    for path in (ROOT / "docs/runbooks").glob("*.md"):
        page = path.read_text()
        heads = re.findall(r"^#+ .*", page, re.MULTILINE)
        assert heads == [f"# {path.stem}", "## What it means", "## How to look", "## What to do"]


def test_a_page_comes_when_its_part_of_the_budget_is_gone() -> None:
    month_s = 30 * 24 * 3600
    spent = {(b.severity, b.long_s): b.factor * b.long_s / month_s for b in BURNS}
    assert spent == {
        ("page", 3600): pytest.approx(0.02),
        ("page", 21600): pytest.approx(0.05),
        ("ticket", 86400): pytest.approx(0.1),
    }
    assert all(b.long_s == 12 * b.short_s for b in BURNS)


def test_a_board_is_grafanas_json() -> None:
    for board in BOARDS:
        made = grafana(board)
        assert json.loads(json.dumps(made)) == made
        ids = [panel["id"] for panel in made["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in made["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
        taken = {
            (x, y)
            for p in made["panels"]
            for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
            for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
        }
        assert len(taken) == sum(p["gridPos"]["w"] * p["gridPos"]["h"] for p in made["panels"])


async def test_servers_that_are_away_are_told_as_down() -> None:
    away = [
        *await PostgresMetrics("postgresql://nobody@127.0.0.1:1/none")(),
        *await nats_metrics("http://127.0.0.1:1"),
    ]
    assert {(m.name, m.samples[0].value) for m in away} == {
        ("tradewind_postgres_up", 0),
        ("tradewind_nats_up", 0),
    }


def test_a_runbook_names_what_there_is() -> None:
    """Metrics, settings, routes, boards and words of logs: each stands in the code that would say it."""
    text = {path.stem: path.read_text() for path in (ROOT / "docs/runbooks").glob("*.md")}
    code = "".join(
        p.read_text() for room in ("libs", "services", "deploy") for p in (ROOT / room).rglob("*.py")
    )
    known, rows = written(), {(row.method, row.path) for row in ENDPOINTS}
    boards = " ".join(board.title for board in BOARDS).lower()
    for name, page in text.items():
        for metric in re.findall(r"\btradewind_[a-z0-9_]+", page):
            assert base(metric) & known, (name, metric)
        for setting in re.findall(r"\bTRADEWIND_([A-Z0-9_]+)", page):
            assert setting in SETTINGS, (name, setting)
        for method, path in re.findall(r"`(GET|POST|PUT|DELETE) (/\S+?)`", page):
            assert (method, path) in rows, (name, method, path)
        for command in re.findall(r"`grep ([^`|]+?) \.data", page):
            for words in re.findall(r"\"([^\"':]+)\"|-e \"([^\"]+)\"", command):
                assert max(words) in code, (name, words)
        for board in re.findall(r"[Bb]oard \*([^*]+)\*", page):
            assert board.lower() in boards, (name, board)
