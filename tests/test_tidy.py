"""The house rules that a program can hold: who may import whom, size, and words that have one home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("libs", "services", "deploy", "bench", "tests")
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

SERVICE_FILES = {
    "__init__",
    "__main__",
    "config",
    "wiring",
    "handlers",
    "service",
    "store",
    "errors",
    "metrics",
}
# Parts of a service that own a lock or a task: held to the rules of service.py, not of the domain.
SERVICE_PARTS = {
    "asking",
    "chores",
    "courier",
    "credits",
    "desk",
    "drawing",
    "following",
    "front",
    "history",
    "intake",
    "keeper",
    "listening",
    "loading",
    "partition",
    "rounds",
    "rule_reads",
    "rule_service",
    "writer",
}
# The gateway's business is HTTP itself; gen writes documents; these folders speak to the outside.
OUTSIDE_FOLDERS = {"adapters", "feeds", "channels", "providers", "oracles", "endpoints"}
DRIVERS = {"asyncpg", "aiohttp", "nats"}
FORBIDDEN = {
    "domain": DRIVERS | {"asyncio", "time", "random", "os", "uuid", "secrets"},
    "service": DRIVERS,
    "handlers": DRIVERS,
}
CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("uuid", "uuid4"),
    ("uuid", "uuid1"),
    ("date", "today"),
}
SUBJECT_NAME = re.compile(
    r"^(auth|market|trading|alerts|scanner|pricing|billing|notifier|gateway)\.(tick|cmd|evt|push|dead)\."
)
SUBJECT_HOMES = {"libs/common/subjects/", "libs/common/permissions.py", "libs/common/streams.py"}
SQL_TEXT = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE \w|DELETE FROM|WITH \w+ AS|CREATE TABLE)\b")
LEFT_FOR_LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def python_files(*rooms: str) -> list[Path]:
    return sorted(p for room in rooms for p in (ROOT / room).rglob("*.py") if "__pycache__" not in p.parts)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative imports hide the room"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def kind_of(path: Path) -> str:
    """The room a service file is: a named one, ``outside``, or ``domain``."""
    inside = path.relative_to(ROOT / "services").parts
    if inside[0] == "gateway" or OUTSIDE_FOLDERS & set(inside[1:-1]):
        return "outside"
    if path.stem in SERVICE_PARTS:
        return "service"
    return path.stem if path.stem in SERVICE_FILES else "domain"


def test_a_service_never_imports_another_service() -> None:
    wrong = []
    for path in python_files("services"):
        own = path.relative_to(ROOT / "services").parts[0]
        for module in imports_of(tree_of(path)):
            parts = module.split(".")
            if (parts[0] == "services" and len(parts) > 1 and parts[1] != own) or parts[0] in {
                "deploy",
                "tests",
            }:
                wrong.append(f"{name_of(path)} imports {module}")
    assert wrong == []


def test_the_common_library_knows_no_service() -> None:
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in python_files("libs")
        for module in imports_of(tree_of(path))
        if module.split(".")[0] in {"services", "deploy", "tests", "bench"}
    ]
    assert wrong == []


def test_domain_files_are_pure_and_services_know_no_driver() -> None:
    wrong = []
    for path in python_files("services"):
        forbidden = FORBIDDEN.get(kind_of(path), set())
        for module in imports_of(tree_of(path)):
            if module.split(".")[0] in forbidden:
                wrong.append(f"{name_of(path)} ({kind_of(path)}) imports {module}")
    assert wrong == []


def test_only_the_common_library_reads_clocks_and_makes_ids() -> None:
    wrong = []
    for path in python_files("services"):
        for node in ast.walk(tree_of(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and (node.func.value.id, node.func.attr) in CLOCKS
            ):
                wrong.append(f"{name_of(path)}:{node.lineno} calls {node.func.value.id}.{node.func.attr}")
    assert wrong == []


def test_only_the_registry_reads_the_environment() -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("services")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    assert wrong == []


def test_subject_names_live_in_the_map_of_the_bus() -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno} {node.value}"
        for path in python_files("libs", "services", "deploy")
        if not name_of(path).startswith(tuple(SUBJECT_HOMES)) and "testing" not in path.parts
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SUBJECT_NAME.match(node.value)
    ]
    assert wrong == []


def test_a_subject_stands_with_its_owner() -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno} {node.value}"
        for path in python_files("libs/common/subjects")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (found := SUBJECT_NAME.match(node.value))
        and path.stem != f"of_{found[1]}"
    ]
    assert wrong == []


def test_sql_text_lives_in_sql_files() -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("services")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL_TEXT.match(node.value)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_file_and_a_function_fit(room: str) -> None:
    wrong = []
    for path in python_files(room):
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > FILE_LINES_MAX:
            wrong.append(f"{name_of(path)} has {lines} lines")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > FUNCTION_LINES_MAX:
                    wrong.append(f"{name_of(path)}:{node.lineno} {node.name} has {size} lines")
    assert wrong == []


def test_nothing_is_left_for_later() -> None:
    wrong = [
        f"{name_of(path)}:{number}"
        for path in python_files(*ROOMS)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if LEFT_FOR_LATER.search(line)
    ]
    assert wrong == []


def test_every_public_name_of_the_product_says_what_it_is() -> None:
    wrong = []
    for path in python_files("libs", "services", "deploy"):
        tree = tree_of(path)
        if path.name != "__init__.py" and not ast.get_docstring(tree):
            wrong.append(f"{name_of(path)} has no docstring")
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                wrong.append(f"{name_of(path)}:{node.lineno} {node.name} has no docstring")
    assert wrong == []


def test_every_service_says_what_it_owns_and_how_it_fails() -> None:
    services = [p.parent for p in (ROOT / "services").glob("*/__main__.py")]
    assert [p.name for p in services if not (p / "README.md").is_file()] == []
