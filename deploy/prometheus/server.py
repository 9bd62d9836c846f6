"""A Prometheus of one's own over a stack's targets, on loopback: for pictures and for tests."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from deploy.local.errors import StartRefused
from deploy.local.ports import LOOPBACK, choose_ports
from deploy.local.processes import wait_until

_READY_S = 30.0
_TIMEOUT_S = 30.0


class Prometheus:
    """A running Prometheus, asked through its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector of ``expr``: each ``{"metric": labels, "value": [s, text]}``."""
        found: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return found

    def query_range(self, expr: str, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        """The series of ``expr``: each ``{"metric": labels, "values": [[s, text], …]}``."""
        answer = self._get("query_range", query=expr, start=start_s, end=end_s, step=step_s)
        found: list[dict[str, Any]] = answer["result"]
        return found

    def exemplars(self, selector: str, start_s: float, end_s: float) -> list[str]:
        """The trace ids kept with the samples of ``selector`` between two moments."""
        found = self._get("query_exemplars", query=selector, start=start_s, end=end_s)
        return [one["labels"]["trace_id"] for series in found for one in series["exemplars"]]

    def alerts(self) -> dict[str, str]:
        """Alert → ``pending`` or ``firing``; a firing one hides a pending one of its name."""
        states: dict[str, str] = {}
        for alert in self._get("alerts")["alerts"]:
            name = alert["labels"]["alertname"]
            states[name] = "firing" if "firing" in (alert["state"], states.get(name)) else "pending"
        return states

    def now_s(self) -> float:
        """Prometheus's time, Unix seconds."""
        return float(self._get("query", query="time()")["result"][1])

    def ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urlopen(f"{self.url}/-/ready", timeout=2.0) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def _get(self, path: str, **parameters: object) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=_TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)["data"]


@contextmanager
def prometheus_over(
    targets: Path, folder: Path, *, rules: Mapping[str, str] | None = None, every_s: int = 1
) -> Iterator[Prometheus]:
    """Scrape ``targets`` (file discovery) each ``every_s`` seconds into ``folder``, with rule files by name.

    StartRefused when there is no Prometheus on this machine.
    """
    binary = shutil.which("prometheus")
    if binary is None:
        raise StartRefused("prometheus is missing: apt install prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (rules or {}).items():
        (folder / name).write_text(text)
    config = {
        "global": {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"},
        "rule_files": list(rules or ()),
        "scrape_configs": [
            {
                "job_name": "tradewind",
                "honor_labels": True,  # the exporter tells of other processes than itself
                "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = choose_ports(["prometheus"], seed=str(folder))["prometheus"]
    command = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'store'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        started = Prometheus(f"http://{LOOPBACK}:{port}")
        wait_until(lambda: started.ready() or process.poll() is not None, seconds=_READY_S)
        if process.poll() is not None:
            raise StartRefused(f"prometheus did not start: {(folder / 'prometheus.log').read_text()[-500:]}")
        yield started
    finally:
        process.terminate()
        process.wait(timeout=_TIMEOUT_S)
