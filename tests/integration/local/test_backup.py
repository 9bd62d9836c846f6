"""A house, its backup, and the house made from it: the same people, money and orders."""

from __future__ import annotations

import asyncio
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.files import read_json
from tests.real_stack import RealStack, real_stack

PERSON = {"name": "Ada", "email": "ada@example.com", "password": "correct horse"}
QUOTES = {"quotes": [{"symbol": "EURUSD", "bid": 1.1, "ask": 1.1002}]}
ORDER = {"symbol": "EURUSD", "cmd": 0, "volume": 100, "sl": 0, "tp": 0}
# What goes on living between two looks, or belongs to the machine and not to the house.
RESTLESS = ("outbox", "inbox", "partition_lease", "lease", "seen", "seq_block")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    with real_stack(tmp_path_factory.mktemp("kept"), SERVICES="auth,market,trading,gateway") as stack:
        yield stack


def rows_of(stack: RealStack) -> dict[str, list[str]]:
    """Table → its rows as text, sorted."""

    async def read() -> dict[str, list[str]]:
        port = read_json(stack.data / "ports.json")["postgres"]
        password = read_json(stack.data / "secrets.json")["postgres"]
        dsn = f"postgresql://tradewind:{password}@127.0.0.1:{port}/tradewind"
        connection = await asyncpg.connect(dsn)
        try:
            tables = await connection.fetch(
                "SELECT schemaname, tablename FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            return {
                f"{t[0]}.{t[1]}": sorted(
                    row[0] for row in await connection.fetch(f'SELECT t::text FROM "{t[0]}"."{t[1]}" t')
                )
                for t in tables
                if t[1] not in RESTLESS
            }
        finally:
            await connection.close()

    return asyncio.run(read())


def backed_up(house: RealStack, folder: Path) -> tuple[Path, dict[str, list[str]]]:
    """A backup and the rows in it: another one where market stored a quote or candle meanwhile."""
    for number in itertools.count():
        file, before = folder / f"house-{number}.tar", rows_of(house)
        done = house.run("backup", str(file))
        assert done.returncode == 0, done.stderr
        if rows_of(house) == before:
            return file, before
    raise AssertionError("not reached")


def test_a_house_comes_back_from_its_backup(house: RealStack, tmp_path: Path) -> None:
    admin = house.call("/sign/in", {"login": 1, "password": "open sesame"})["__token"]
    person = house.call("/sign/up", PERSON)
    house.call("/admin/quotes", QUOTES, admin)
    token, login = person["__token"], person["login"]
    house.call("/trade/open", {**ORDER, "login": login}, token)
    trades = house.call("/trades?tradeType=0", token=token)
    balance = house.call("/account/balance", token=token)
    assert len(trades["rows"]) == 2  # the deposit and the position

    file, before = backed_up(house, tmp_path)
    assert file.stat().st_mode & 0o077 == 0
    assert house.run("backup", str(file)).returncode == 78  # a backup is never written over

    done = house.run("restore", str(file), data=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    with real_stack(tmp_path, SERVICES="auth,market,trading,gateway") as restored:
        after = rows_of(restored)
        assert {name: rows for name, rows in after.items() if rows != before.get(name)} == {}
        assert restored.call("/trades?tradeType=0", token=token) == trades
        assert restored.call("/account/balance", token=token) == balance
        back = restored.call("/sign/in", {"login": login, "password": PERSON["password"]})
        assert back["login"] == login
        doctor = restored.run("doctor")
        assert doctor.returncode == 0, doctor.stdout


def test_what_is_no_backup_or_a_damaged_one_makes_no_house(house: RealStack, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.tar"
    stranger.write_bytes(b"not a tar")
    assert "is no backup of a house" in refused(house, stranger, tmp_path / "a")
    file = tmp_path / "house.tar"
    assert house.run("backup", str(file)).returncode == 0
    damaged = tmp_path / "damaged.tar"
    with tarfile.open(file) as good, tarfile.open(damaged, "w") as bad:
        for member in good:
            content: Any = good.extractfile(member)
            if member.name == "secret.key":
                content.read(1)
                member.size -= 1
            bad.addfile(member, content)
    assert "secret.key is not what was written" in refused(house, damaged, tmp_path / "b")
    assert "holds a house already" in refused(house, file, house.data)


def refused(house: RealStack, file: Path, data: Path) -> str:
    """What restoring ``file`` into ``data`` is refused with; nothing is left in the folder."""
    done = house.run("restore", str(file), data=data)
    assert done.returncode == 78, done.stdout
    if data != house.data:
        assert [p.name for p in data.glob("*")] in ([], ["lock"]), list(data.glob("*"))
    return done.stderr
