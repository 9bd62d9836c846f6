"""``tradewind backup`` and ``tradewind restore``: one file that holds everything a house knows.

The file is a tar of the database (``pg_basebackup``, taken while the house runs: the state of one moment),
the secrets it can't be opened without, and a manifest. Streams of NATS are not in it: they are made anew
and filled from the outboxes, and consumers drop what they had.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local import files
from deploy.local.errors import StartRefused
from deploy.local.postgres import MAJOR, SUPERUSER
from deploy.local.privileges import Way, find_way, wheel_programs
from deploy.local.settings import Settings
from deploy.local.stack_state import read_state
from libs.common.clock import Clock

FORMAT = 1
_SECRETS = ("secrets.json", "secret.key")
_DATABASE = "postgres.tar.gz"
_BACKUP_S = 3600.0


def back_up(settings: Settings, target: Path, clock: Clock) -> int:
    """Write the running house's backup to ``target``; an existing file is not replaced."""
    state = read_state(settings.data)
    port = next((child.port for child in state.servers if child.name == "postgres" and child.pid), None)
    if settings.database_url:
        raise StartRefused("the PostgreSQL of DATABASE_URL is backed up by its own tools (pg_basebackup)")
    if port is None:
        raise StartRefused(f"no stack runs in {settings.data}: start it, a backup is taken while it runs")
    if target.exists():
        raise StartRefused(f"{target} exists: name another file")
    password = files.read_json(settings.data / "secrets.json").get("postgres", "")
    with tempfile.TemporaryDirectory(dir=target.parent or Path()) as folder:
        database = Path(folder) / _DATABASE
        _base_backup(port, str(password), database)
        members = {_DATABASE: database, **{name: settings.data / name for name in _SECRETS}}
        made = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).isoformat()
        manifest = {
            "format": FORMAT,
            "made": made,
            "postgres": MAJOR,
            "services": list(settings.services),
            "sha256": {name: _digest(path) for name, path in members.items() if path.exists()},
        }
        unfinished = Path(folder) / "backup.tar"
        _pack(unfinished, members, manifest)
        unfinished.rename(target)
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MB, the house as of {made}")
    print("keep it where nobody else reads: it holds the secrets too")
    return 0


def restore(settings: Settings, source: Path) -> int:
    """Make a data folder from a backup; the folder must not hold a house yet."""
    data = settings.data
    if any((data / name).exists() for name in ("postgres", *_SECRETS)):
        raise StartRefused(f"{data} holds a house already: name another with --data-dir")
    if not source.is_file():
        raise StartRefused(f"{source} does not exist")
    files.open_data_folder(data)
    with tempfile.TemporaryDirectory(dir=data) as name:
        folder = Path(name)
        manifest = _unpack(source, folder)
        stack_id = str(files.read_json(folder / "secrets.json").get("stack_id", ""))
        way = find_way(data / "postgres", stack_id=stack_id)
        unfinished = way.data.with_name(way.data.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o700)
        with tarfile.open(folder / _DATABASE) as tar:
            tar.extractall(unfinished, filter="data")
        _private(unfinished, way)
        _verify(way, unfinished)
        for secret in _SECRETS:
            if (folder / secret).exists():
                files.write_private(data / secret, (folder / secret).read_text())
        unfinished.rename(way.data)
    print(f"{data} is the house as of {manifest['made']}: tradewind up --data-dir {data}")
    return 0


def _base_backup(port: int, password: str, target: Path) -> None:
    """The whole cluster as one compressed tar, with the log it needs to be consistent."""
    command = [
        str(wheel_programs() / "pg_basebackup"),
        *("-h", "127.0.0.1", "-p", str(port), "-U", SUPERUSER, "-D", "-", "-Ft", "-X", "fetch", "-z"),
        *("--checkpoint=fast", "--no-password"),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"PGPASSWORD": password}
    with target.open("wb") as file:
        done = subprocess.run(
            command, env=environment, stdout=file, stderr=subprocess.PIPE, timeout=_BACKUP_S, check=False
        )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no word why"]
        raise StartRefused(f"PostgreSQL gave no backup: {lines[-1]}")


def _pack(target: Path, members: Mapping[str, Path], manifest: Mapping[str, Any]) -> None:
    def private(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
        return member

    plain = target.with_name("manifest.json")
    plain.write_text(json.dumps(manifest, indent=1) + "\n")
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, path in {"manifest.json": plain, **members}.items():
                if path.exists():
                    tar.add(path, arcname=name, filter=private)
        file.flush()
        os.fsync(file.fileno())


def _unpack(source: Path, folder: Path) -> dict[str, Any]:
    """The members of a backup below ``folder``, each as its manifest says; the manifest."""
    try:
        with tarfile.open(source) as tar:
            tar.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    except (tarfile.TarError, OSError, ValueError, KeyError) as e:
        raise StartRefused(f"{source} is no backup of a house: {e}") from e
    if manifest.get("format") != FORMAT:
        raise StartRefused(f"{source} was made by another version (format {manifest.get('format')})")
    if manifest.get("postgres") != MAJOR:
        raise StartRefused(f"{source} is of PostgreSQL {manifest.get('postgres')}, this is {MAJOR}")
    for name, digest in manifest["sha256"].items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise StartRefused(f"{source} is damaged: {name} is not what was written")
    return manifest


def _private(folder: Path, way: Way) -> None:
    """Modes and owner as PostgreSQL wants them."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        way.give(path)


def _verify(way: Way, folder: Path) -> None:
    """Every file against the checksums PostgreSQL wrote into the backup."""
    command = way.command("pg_verifybackup", "--no-parse-wal", "--quiet", str(folder))
    if way.owner is not None:  # the trimmed copy of the programs lacks it, and it may run as anybody
        command = [str(wheel_programs() / "pg_verifybackup"), *command[1:]]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=_BACKUP_S, check=False)
    if done.returncode:
        raise StartRefused(f"the backup does not verify: {done.stderr.strip().splitlines()[0]}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
