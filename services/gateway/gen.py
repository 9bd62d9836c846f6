"""``python -m services.gateway.gen FOLDER``: documents that are made from the code, at their paths below it.

``docs/api/openapi.json`` from the endpoint table, ``docs/api/status-codes.md`` from the error classes of
every service and the dialects, ``docs/config.md`` from the registry of settings.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import msgspec

from libs.common import bus_nats, errors
from libs.common.config import PLAIN, PREFIX, SETTINGS, ProcessConfig
from libs.common.errors import AppError, RemoteError, Retry
from libs.common.service import VERSION
from services.gateway import openapi
from services.gateway.endpoints import ENDPOINTS
from services.gateway.surfaces.base import Surface
from services.gateway.surfaces.dialects import SURFACES
from services.gateway.surfaces.ret_codes import status_of

SERVICES = Path(__file__).resolve().parents[1]

_RETRY = {
    Retry.NO: "no: the same request fails again",
    Retry.LATER: "later: nothing happened",
    Retry.RECONCILE: "look first: the outcome is unknown",
}
_PASSING = frozenset({408, 429, 502, 503})
_HEAD = ("code", "HTTP", "surface", "meaning", "try again", "said by")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One case of an error class."""

    code: str
    status: int
    meaning: str
    retry: Retry
    owner: str


def refusals() -> list[Refusal]:
    """Every error class of the common library and of every service, in order of status and code."""
    found = [*_classes(errors, "every service"), *_classes(bus_nats, "every service")]
    for path in sorted(SERVICES.glob("*/errors.py")):
        name = path.parent.name
        found += _classes(importlib.import_module(f"services.{name}.errors"), name)
    return sorted(set(found), key=lambda r: (r.status, r.code, r.owner, r.meaning))


def _classes(module: object, owner: str) -> Iterator[Refusal]:
    for value in vars(module).values():
        if not (isinstance(value, type) and issubclass(value, AppError)):
            continue
        if value in (AppError, RemoteError) or value.__module__ != getattr(module, "__name__", ""):
            continue
        meaning = " ".join((value.__doc__ or "").split("\n\n")[0].split())
        yield Refusal(value.code, status_of(value.code, value.http_status), meaning, value.retry, owner)


def status_codes() -> str:
    """The page of every code a client may meet."""
    lines = [
        "# Status codes",
        "",
        "Every error has a public code that is never reused, an HTTP status, and says whether to try again.",
        "This page is made from the code: `make gen`.",
        "",
        "## Broker and admin",
        "",
        'Shape: `{"error": CODE, "message": text}`.',
        "",
        *_table(_HEAD, _broker_rows()),
    ]
    for surface in SURFACES.values():
        if surface.codes or surface.name in ("prices", "signals"):
            lines += ["", *_dialect(surface)]
    return "\n".join(lines) + "\n"


def _broker_rows() -> Iterator[tuple[str, ...]]:
    for r in refusals():
        surface = "scan" if r.code.islower() else "broker, admin"
        yield f"`{r.code}`", str(r.status), surface, r.meaning, _RETRY[r.retry], r.owner


def _dialect(surface: Surface) -> Iterator[str]:
    shape = ", ".join(f"`{name}`" for name in surface.render(errors.InvalidData("why"))[1])
    yield f"## {surface.name.capitalize()}"
    yield ""
    yield f"Shape: an object with {shape}."
    if surface.codes:
        yield ""
        rows = (
            (f"`{code}`", str(status), HTTPStatus(status).phrase)
            for status, code in surface.codes.items()
            if surface.status_of(status) == status
        )
        yield from _table(("code", "HTTP", "meaning"), rows)


def config_page() -> str:
    """The page of every setting."""
    readers = _readers()
    rows = [
        (f"`{name}`", "", meaning, _who(readers, name))
        for name, meaning in zip(PLAIN, ("the PostgreSQL to use", "the NATS server to use"), strict=True)
    ]
    for name, setting in SETTINGS.items():
        default = f"`{setting.default}`" if setting.default else ""
        meaning = setting.meaning + (" (secret)" if setting.secret else "")
        rows.append((f"`{PREFIX}{name}`", default, meaning, _who(readers, name)))
    lines = [
        "# Settings",
        "",
        "Read from the environment once, at start. A `TRADEWIND_*` name that is not here stops the start and",
        "shows the nearest known one; so does a value that can't be read.",
        "`python -m services.<name> check-config` checks without starting.",
        "This page is made from the registry in `libs/common/config.py`: `make gen`.",
        "",
        *_table(("name", "default", "meaning", "read by"), rows),
    ]
    return "\n".join(lines) + "\n"


def _readers() -> Mapping[str, list[str]]:
    """Setting → the services that read it."""
    common = {field.name for field in msgspec.structs.fields(ProcessConfig)}
    readers: dict[str, list[str]] = {name.upper(): ["every process"] for name in common}
    for path in sorted(SERVICES.glob("*/config.py")):
        name = path.parent.name
        module = importlib.import_module(f"services.{name}.config")
        configs = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, ProcessConfig)
            and value.__module__ == module.__name__
        ]
        for field in {field.name for config in configs for field in msgspec.structs.fields(config)} - common:
            readers.setdefault(field.upper(), []).append(name)
    return readers


def _who(readers: Mapping[str, list[str]], name: str) -> str:
    return ", ".join(readers.get(name, ["the local stack"]))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def write(folder: Path) -> None:
    """Write every document below ``folder``."""
    document = openapi.document(ENDPOINTS, version=VERSION)
    for name, text in {
        "docs/api/openapi.json": json.dumps(document, indent=1) + "\n",
        "docs/api/status-codes.md": status_codes(),
        "docs/config.md": config_page(),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
