"""``python -m tests.mutation [FILE…]``: what the tests of pure files notice, by changing the files (mutmut).

Each file is changed in one small place at a time in a copy of the tree, and its unit tests are run against
the copy. A change that no test notices survives: it is printed with its difference, to be looked at. Needs no
server. What was found last stands in ``tests/mutation.md``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("libs", "services", "deploy", "bench", "tests", "docs")
# A pure file and the tests that speak for it.
FILES = {
    "services/auth/throttle.py": "tests/unit/auth/test_throttle.py",
    "services/auth/apikeys.py": "tests/unit/auth/test_apikeys.py",
    "services/auth/request_keys.py": "tests/unit/auth/test_request_keys.py",
    "services/auth/totp.py": "tests/unit/auth/test_totp.py",
    "services/auth/oauth.py": "tests/unit/auth/test_oauth.py",
}
CONFIG = """[tool.mutmut]
source_paths = ["services/auth"]
only_mutate = ["{path}"]
pytest_add_cli_args_test_selection = ["{tests}"]
also_copy = [{copied}]

[tool.pytest.ini_options]
addopts = "-x -q -p no:cacheprovider"
asyncio_mode = "auto"
"""


def run(path: str, tests: str) -> str:
    """Change one file; a line of the table, and the survivors."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        for part in COPIED:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        copied = ", ".join(f'"{part}"' for part in COPIED)
        (folder / "pyproject.toml").write_text(CONFIG.format(path=path, tests=tests, copied=copied))
        program = Path(sys.executable).with_name("mutmut")
        done = subprocess.run(
            ["nice", str(program), "run", "--max-children", "2"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        listed = _mutmut(program, folder, "results", "--all", "true").splitlines()
        states = [line.rsplit(":", 1)[1].strip() for line in listed if ":" in line]
        survivors = [line.split(":")[0].strip() for line in listed if line.endswith(": survived")]
        if not states:
            return f"{path}: nothing was run\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        counts = {state: states.count(state) for state in sorted(set(states))}
        shown = "\n".join(_mutmut(program, folder, "show", one) for one in survivors)
        return f"{path}: {len(states)} changes, {counts}\n{shown}"


def _mutmut(program: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run([str(program), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout


def main() -> None:
    """Every file, or those named."""
    for path in sys.argv[1:] or list(FILES):
        print(run(path, FILES[path]), flush=True)


if __name__ == "__main__":
    main()
