"""Make ``.venv`` and install what the lock says; do nothing, quickly, when that was done before.

Run by the system's python3 as ``python3 -I deploy/local/bootstrap.py run|dev`` on a machine that has nothing
of ours yet: standard library only, in a syntax that an old Python can read in order to be told that it is old
(3.6; hence the quoted annotations). ``run`` installs ``requirements/run.lock``; ``dev`` also ``dev.lock`` and
``data.lock``.

A killed installation leaves ``.venv/unfinished``: the next one starts with an empty environment.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PYTHON_MIN = (3, 11)
OTHER_PYTHONS = ("python3.13", "python3.12", "python3.11", "python3.14")
ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
LOCKS = {"run": ["run.lock"], "dev": ["run.lock", "dev.lock", "data.lock"]}
EXIT_REFUSED = 78
PACKAGE_LINE = re.compile(
    r"(?:Collecting |Requirement already satisfied: |Processing [^ ]*/)([A-Za-z0-9_.]+(?:-[A-Za-z_.]+)*)"
)

# What pip prints → what helps. The first that matches is told: without a network pip also says that there is
# no distribution. The whole output stands in the log.
REMEDIES = (
    (r"No space left on device", "the disk is full: make room, then run make again"),
    (
        r"DO NOT MATCH THE HASHES",
        "a downloaded package is not the one of the lock: run pip cache purge, check the index in use",
    ),
    (
        r"Temporary failure in name resolution|Failed to establish a new connection|Network is unreachable"
        r"|Connection refused|[Tt]imed? ?out|SSLError|ProxyError|Could not fetch URL",
        "the package index can't be reached: check the network, or set PIP_INDEX_URL, then run make again",
    ),
    (
        r"No matching distribution found for (?P<package>\S+)",
        "the package index in use has no {package} for Python {python} on {machine}: "
        "use CPython 3.11 to 3.13 on x86_64 or aarch64, or another index (PIP_INDEX_URL)",
    ),
    (r"Permission denied", "a file can't be written: does the checkout belong to another user?"),
)
NO_COMPILER = (
    "{package} has no ready-made package for Python {python} on {machine} and there is no C compiler: "
    "apt install build-essential python3-dev, then run make again"
)


class Refused(Exception):
    """One line for the person at the terminal, with the remedy."""


def main(level: str) -> None:
    """Bring the environment to ``level`` (run or dev)."""
    ensure_python()
    wanted = wanted_stamp(level)
    if is_current(read_stamp(), wanted):
        return
    with folder_lock() as lock:
        stamp = read_stamp()
        if is_current(stamp, wanted):
            return
        if must_begin_anew(stamp):
            make_venv()
            stamp = {}
        locks = stamp.get("locks", {})
        with unfinished():
            for name in LOCKS[level]:
                if locks.get(name) != wanted["locks"][name]:
                    install_lock(name, lock)
            if stamp.get("project") != wanted["project"]:
                install_project(lock)
            wanted["locks"] = dict(locks, **wanted["locks"])
            replace_text(VENV / "stamp.json", json.dumps(wanted, indent=2))
        say(f"the environment {VENV} is ready")


@contextlib.contextmanager
def unfinished() -> "Iterator[None]":
    """The mark of a killed installation. A pip that failed by itself took back what it had done."""
    mark = VENV / "unfinished"
    mark.touch()
    try:
        yield
    except Refused:
        mark.unlink()
        raise
    mark.unlink()


def ensure_python() -> None:
    """Go on with a Python that is new enough, or say that there is none."""
    if sys.version_info[:2] >= PYTHON_MIN:
        return
    for name in OTHER_PYTHONS:
        found = shutil.which(name)
        if found and subprocess.call([found, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(found, [found, "-I", *sys.argv])  # noqa: S606 - the same program, newer
    raise Refused(
        f"Python 3.11 or newer is needed, this is {version()}: apt install python3.11 python3.11-venv"
    )


@contextlib.contextmanager
def folder_lock() -> "Iterator[int]":
    """One bootstrap at a time: two terminals may say make at once.

    pip inherits the descriptor, so the lock of a killed bootstrap lasts until its pip has ended too.
    """
    descriptor = os.open(str(ROOT / "requirements"), os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another installation is under way, waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def wanted_stamp(level: str) -> "dict[str, Any]":
    """What a finished environment of this level is made from."""
    return {
        "folder": str(VENV),  # scripts hold absolute paths: a moved checkout needs a new environment
        "locks": {name: digest(ROOT / "requirements" / name) for name in LOCKS[level]},
        "project": digest(ROOT / "pyproject.toml"),
    }


def read_stamp() -> "dict[str, Any]":
    """The stamp of the environment there is; empty when there is none or it can't be read."""
    try:
        stamp = json.loads((VENV / "stamp.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_current(stamp: "dict[str, Any]", wanted: "dict[str, Any]") -> bool:
    """Whether nothing has to be done."""
    locks = stamp.get("locks", {})
    return (
        not (VENV / "unfinished").exists()
        and all(stamp.get(name) == wanted[name] for name in ("folder", "project"))
        and all(locks.get(name) == value for name, value in wanted["locks"].items())
        and python_fits()
    )


def must_begin_anew(stamp: "dict[str, Any]") -> bool:
    """Whether what is there can't be added to: nothing, half an installation, moved, or its Python is gone.

    An environment without our stamp was made by a person: it is kept when its pip works.
    """
    if (VENV / "unfinished").exists() or not python_fits():
        return True
    if stamp:
        return bool(stamp.get("folder") != str(VENV))
    return subprocess.call([*pip_command(), "--version"], stdout=subprocess.DEVNULL) != 0


def python_fits() -> bool:
    """Whether the environment's interpreter exists and still is of the version it was made with.

    A system upgrade may turn the same python3 from 3.11 into 3.13, which does not see 3.11's packages.
    """
    python = VENV / "bin" / "python"
    try:
        settings = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False
    made = re.search(r"^version\s*=\s*(\d+\.\d+)", settings, re.MULTILINE)
    if made is None or not python.exists():
        return False
    if os.path.realpath(str(python)) == os.path.realpath(sys.executable):
        return made.group(1) == version()
    name = re.search(r"python(\d+\.\d+)$", os.path.realpath(str(python)))
    return name is None or name.group(1) == made.group(1)


def make_venv() -> None:
    """An empty environment with pip."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Refused(f"Python's venv is incomplete: apt install python{version()}-venv, then run make again")
    say(f"making {VENV} with Python {version()}")
    command = [sys.executable, "-I", "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Refused(f"the environment can't be made: {remedy(done.stdout.decode(errors='replace'))}")


def install_lock(name: str, lock: int) -> None:
    """Install one lock file, exactly and with its hashes, showing the packages as they come."""
    path = ROOT / "requirements" / name
    packages = len(re.findall(r"^[A-Za-z0-9].*==", path.read_text(encoding="utf-8"), re.MULTILINE))
    # The lock is complete, so nothing has to be resolved.
    run_pip(["install", "--require-hashes", "--no-deps", "-r", str(path)], lock, name, packages)


def install_project(lock: int) -> None:
    """The project itself, in place, for its console script; its build tools come from the lock."""
    say("installing the command tradewind", passing=True)
    run_pip(["install", "--no-deps", "--no-build-isolation", "--force-reinstall", "-e", str(ROOT)], lock)


def run_pip(arguments: "list[str]", lock: int, shown_as: str = "", packages: int = 0) -> None:
    """Run pip; on failure one line that helps, and where the whole output is."""
    log = VENV / "install.log"
    command = [*pip_command(), *arguments, "--no-input", "--progress-bar", "off"]
    text = ""
    shown = 0
    process = subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(lock,),
    )
    try:
        with log.open("ab") as output:
            for raw in process.stdout or ():
                output.write(raw)
                line = raw.decode(errors="replace")
                text += line
                found = PACKAGE_LINE.match(line)
                if packages and line.startswith("Ignoring "):
                    packages -= 1  # a line of the lock for another machine
                elif packages and found:
                    shown += 1
                    say(f"installing {shown_as}: {shown} of {packages}, {found.group(1)}", passing=True)
                elif packages and line.startswith("Installing collected packages"):
                    say(f"installing {shown_as}: unpacking", passing=True)
        status = process.wait()
    except BaseException:
        process.kill()
        raise
    say("", passing=True)
    if status != 0:
        raise Refused(f"{remedy(text)} (all of pip's output: {log})")


def pip_command() -> "list[str]":
    """The environment's own pip, deaf to PYTHON* variables and the user's packages."""
    return [str(VENV / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]


def environment() -> "dict[str, str]":
    """Ours without what would send pip elsewhere than into the environment."""
    strange = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_DEPS")
    kept = {name: value for name, value in os.environ.items() if name not in strange}
    return dict(kept, PIP_ROOT_USER_ACTION="ignore", PYTHONUNBUFFERED="1")


def remedy(text: str) -> str:
    """The line that helps with what went wrong; the last error of the output when it is unknown."""
    collected = re.findall(r"^Collecting ([A-Za-z0-9_.-]+)", text, re.MULTILINE)
    facts = {
        "package": collected[-1] if collected else "a package",
        "python": version(),
        "machine": f"{os.uname().sysname} {os.uname().machine}",
    }
    if re.search(r"subprocess-exited-with-error|Failed building wheel", text) and not shutil.which("cc"):
        built = re.search(r"(?:Failed building wheel for|Building wheel for) ([A-Za-z0-9_.-]+)", text)
        return NO_COMPILER.format(**dict(facts, package=built.group(1) if built else facts["package"]))
    for pattern, advice in REMEDIES:
        found = re.search(pattern, text)
        if found:
            return advice.format(**dict(facts, **found.groupdict()))
    errors = [line for line in text.splitlines() if line.lower().startswith(("error", "fatal"))]
    return (errors or text.strip().splitlines() or ["no reason was given"])[-1]


def say(text: str, passing: bool = False) -> None:
    """On a terminal a passing line is overwritten by the next; elsewhere every line stays."""
    if not sys.stdout.isatty():
        if text:
            print(text, flush=True)
        return
    width = shutil.get_terminal_size().columns - 1
    print("\r\x1b[2K" + text[:width], end="" if passing else "\n", flush=True)


def version() -> str:
    """Of the Python that runs this: major and minor."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replace_text(path: Path, text: str) -> None:
    """Write beside, then rename: a reader sees the old or the new, never half."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Refused as refusal:
        print(f"tradewind: {refusal}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
    except KeyboardInterrupt:
        sys.exit(130)
