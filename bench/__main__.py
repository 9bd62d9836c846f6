"""``python -m bench [names] [--quick]``: run benchmarks and write ``bench/results``.

A benchmark is a module ``bench_<name>`` with ``run(quick) -> bool``: whether its targets were met.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from bench.runner import use_realtime


def main() -> int:
    """Run what was asked for; 1 when a target was missed."""
    known = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(known)}; default all")
    parser.add_argument("--quick", action="store_true", help="one short round; writes no results")
    parser.add_argument(
        "--realtime", action="store_true", help="measured processes first, for a machine that is not idle"
    )
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)} (known: {', '.join(known)})")
    if arguments.realtime:
        use_realtime()
    met = [
        importlib.import_module(f"bench.bench_{name}").run(arguments.quick)
        for name in arguments.names or known
    ]
    return 0 if all(met) else 1


sys.exit(main())
