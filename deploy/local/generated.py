"""``make gen`` and its half of ``make check``: files that programs write, and whether they are up to date.

A generator is a module that takes a folder as its only argument and writes its files below it, under the
paths they have in the checkout. Add one by adding its name to ``GENERATORS``.
"""

from __future__ import annotations

import filecmp
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.local.settings import ROOT

GENERATORS = (
    "services.gateway.gen",
    "services.scanner.gen",
    "deploy.prometheus.rules",
    "deploy.grafana.gen",
    "deploy.compose.gen",
)


def main(arguments: list[str]) -> int:
    """Write the generated files; with ``--check`` only compare, and name those that differ."""
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        for module in GENERATORS:
            if not _exists(module):
                continue
            done = subprocess.run([sys.executable, "-m", module, str(fresh)], cwd=ROOT, check=False)
            if done.returncode != 0:
                print(f"{module} ended with status {done.returncode}", file=sys.stderr)
                return 1
        stale = list(_stale(fresh))
        if "--check" in arguments:
            for path in stale:
                print(f"{path} is not up to date: make gen", file=sys.stderr)
            return 1 if stale else 0
        for path in stale:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fresh / path, ROOT / path)
            print(f"wrote {path}")
    return 0


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _stale(fresh: Path) -> Iterator[Path]:
    for path in sorted(fresh.rglob("*")):
        relative = path.relative_to(fresh)
        if path.is_file() and not _same(path, ROOT / relative):
            yield relative


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
