"""What a board is made of, and its JSON for Grafana 10 and later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

SCHEMA = 39
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${source}"}


class Query(NamedTuple):
    """PromQL, and what a line is called: ``{{label}}`` stands for a label's value."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """A picture. ``still``: it may stay at 0 or say nothing on a healthy, quiet house."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    still: bool = False
    stat: bool = False
    text: str = ""


class Row(NamedTuple):
    """Panels side by side under a heading."""

    title: str
    panels: tuple[Panel, ...]


class Board(NamedTuple):
    """A page. ``variables`` are label values to choose from: name → PromQL of ``label_values``."""

    uid: str
    title: str
    rows: tuple[Row, ...]
    variables: tuple[tuple[str, str], ...] = ()


def rate(metric: str, by: str = "") -> str:
    """Per second, summed."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[$__rate_interval]))"


def quantile(q: float, histogram: str, by: str = "", match: str = "") -> str:
    """A quantile of a histogram over the interval."""
    labels = f"le, {by}" if by else "le"
    selector = f"{{{match}}}" if match else ""
    return (
        f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket{selector}[$__rate_interval])))"
    )


def panel(title: str, *queries: str | Query, unit: str = "short", **more: Any) -> Panel:
    """A panel of lines."""
    return Panel(title, tuple(Query(q) if isinstance(q, str) else q for q in queries), unit, **more)


def latency(title: str, histogram: str, match: str = "", **more: Any) -> Panel:
    """Median, 99th percentile and the slowest of a histogram of seconds."""
    return panel(
        title,
        *(Query(quantile(q, histogram, match=match), name) for q, name in ((0.5, "p50"), (0.99, "p99"))),
        unit="s",
        **more,
    )


def grafana(board: Board) -> dict[str, Any]:
    """The board as Grafana provisions it."""
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": ["tradewind"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [_source(), *(_variable(*variable) for variable in board.variables)]},
        "panels": list(_panels(board.rows)),
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
    }


def _panels(rows: Iterable[Row]) -> Iterable[dict[str, Any]]:
    number, y = 1, 0
    for row in rows:
        yield _heading(number, row.title, y)
        number, y = number + 1, y + 1
        width, height = _size(row.panels)
        for place, each in enumerate(row.panels):
            yield _graph(number, each, {"x": place * width, "y": y, "w": width, "h": height})
            number += 1
        y += height


def _size(panels: Sequence[Panel]) -> tuple[int, int]:
    return COLUMNS // len(panels), 4 if all(each.stat for each in panels) else 8


def _heading(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _graph(number: int, each: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + at),
            "datasource": SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "exemplar": "_bucket" in query.expr,
        }
        for at, query in enumerate(each.queries)
    ]
    return {
        "id": number,
        "type": "stat" if each.stat else "timeseries",
        "title": each.title,
        "description": each.text,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": each.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }
