"""``python -m deploy.grafana.gen FOLDER``: the dashboards as Grafana's JSON files below ``FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import grafana


def main(folder: Path) -> None:
    """One file per board."""
    target = folder / "deploy/grafana/dashboards"
    target.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        name = board.uid.removeprefix("tradewind-")
        (target / f"{name}.json").write_text(json.dumps(grafana(board), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
