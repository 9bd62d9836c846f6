"""The Compose stack without containers: its commands, settings and users, run side by side here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose.gen import compose, prometheus_yml
from deploy.local.nats import server_program
from deploy.local.ports import choose_ports
from deploy.local.prepare import SERVICE_UID
from deploy.local.processes import wait_until
from deploy.local.services import has_schema
from deploy.local.settings import START_ORDER
from tests.servers import open_postgres

ROOT = Path(__file__).resolve().parents[3]
FILE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose/compose.yml").read_text())
SECRET = "a secret of thirty-two characters and more"
ADMIN = "the admin's password"


def test_the_file_is_what_the_generator_means() -> None:
    assert json.loads(json.dumps(compose())) == FILE
    jobs = yaml.safe_load(prometheus_yml())["scrape_configs"]
    assert {job["job_name"] for job in jobs} == {*START_ORDER, "exporter"}


@pytest.mark.parametrize("name", [*START_ORDER, "exporter"])
def test_a_container_of_ours_can_do_little(name: str) -> None:
    service = FILE["services"][name]
    assert service["user"] == str(SERVICE_UID)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    parts = [v["volume"]["subpath"] for v in service["volumes"] if isinstance(v, dict)]
    assert parts == [name if name != "exporter" else "bootstrap"]
    text = json.dumps(service)
    assert "password" not in text.lower().replace("admin_password", "")
    if name in START_ORDER:
        assert "healthcheck" in service


class Containers:
    """Every command of the file as a process, with paths of this machine in place of the containers'."""

    def __init__(self, folder: Path, postgres: str) -> None:
        self.folder = folder
        self.keys = folder / "keys"
        names = ["http", "nats", "monitor", *START_ORDER]
        self.ports = choose_ports(names, seed=str(folder))
        self._postgres = postgres
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    def prepare(self, *arguments: str) -> None:
        (self.folder / "secret_key").write_text(SECRET)
        environment = {**_clean(), "TRADEWIND_SECRET_KEY_FILE": str(self.folder / "secret_key")}
        command = [
            sys.executable,
            "-m",
            "deploy.local.cli",
            "prepare",
            *arguments,
            "--folder",
            str(self.keys),
        ]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def start_nats(self) -> None:
        """nats-server with the written configuration; only addresses and folders are this machine's."""
        settings = json.loads((self.keys / "nats/nats.conf").read_text())
        settings["listen"] = f"127.0.0.1:{self.ports['nats']}"
        settings["http"] = f"127.0.0.1:{self.ports['monitor']}"
        settings["jetstream"]["store_dir"] = str(self.folder / "store")
        path = self.folder / "nats.conf"
        path.write_text(json.dumps(settings))
        self._spawn("nats", [str(server_program()), "-c", str(path)], {})

    def start(self, name: str, user: int | None) -> None:
        service = FILE["services"][name]
        data = self.folder / "data" / name
        data.mkdir(parents=True)
        if user is not None:
            os.chown(data, user, user)
        (self.folder / "admin_password").write_text(ADMIN)
        (self.folder / "admin_password").chmod(0o444)
        environment = {
            key: value.replace("/keys/", f"{self.keys / name}/")
            .replace("/run/secrets/", f"{self.folder}/")
            .replace("0.0.0.0", "127.0.0.1")
            for key, value in service["environment"].items()
            if not value.startswith("${")
        }
        environment |= {
            "TRADEWIND_DATA_DIR": str(data),
            "TRADEWIND_FEED": "manual",
            "TRADEWIND_METRICS_PORT": str(self.ports[name]),
            "TRADEWIND_HTTP_PORT": str(self.ports["http"]),
        }
        command = [sys.executable, *service["command"][1:]]
        self._spawn(name, command, environment, user)

    def _spawn(
        self, name: str, command: list[str], environment: dict[str, str], user: int | None = None
    ) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**_clean(), **environment},
                stdout=log,
                stderr=log,
                user=user,
                group=user,
            )

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        for name in (*reversed(START_ORDER), "nats"):
            if name in self.running:
                self.running[name].send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(timeout=30)


def _clean() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWIND_")}
    return {k: v for k, v in kept.items() if k not in ("DATABASE_URL", "NATS_URL")}


def _service_user() -> int | None:
    """The image's user where this checkout lets it in and we may become it; else whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    probe = [sys.executable, "-c", "import libs.common"]
    try:
        done = subprocess.run(
            probe, cwd=ROOT, user=SERVICE_UID, group=SERVICE_UID, capture_output=True, check=False
        )
    except PermissionError:
        return None
    return SERVICE_UID if done.returncode == 0 else None


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("compose")
    for parent in (folder, folder.parent):
        parent.chmod(0o755)
    user = _service_user()
    with ExitStack() as stack:
        postgres = stack.enter_context(open_postgres(folder / "pg", private=True))
        address = postgres.dsn.partition("@")[2].partition("/")[0]
        running = Containers(folder, address)
        stack.callback(running.stop)
        nats = f"127.0.0.1:{running.ports['nats']}"
        running.prepare("keys", "--postgres", address, "--nats", nats)
        # The administrator's password is the server's own here; in a container it is read from the keys.
        admin = running.keys / "bootstrap/database_url"
        admin.chmod(0o600)
        admin.write_text(postgres.dsn)
        running.start_nats()
        running.prepare("house")
        for name in START_ORDER:
            running.start(name, user)
        assert wait_until(running.ready, seconds=60.0), _logs(folder)
        yield running


def _logs(folder: Path) -> str:
    return "\n".join(f"{p.name}: {p.read_text()[-600:]}" for p in sorted(folder.glob("*.log")))


@pytest.mark.e2e
def test_the_house_opens(containers: Containers) -> None:
    body = json.dumps({"login": 1, "password": ADMIN}).encode()
    request = urllib.request.Request(f"{containers.url}/sign/in", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["__token"]


@pytest.mark.e2e
def test_keys_are_read_by_their_service_alone_and_said_nowhere(containers: Containers) -> None:
    secrets = {SECRET, ADMIN}
    for path in sorted(containers.keys.rglob("*")):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path
            if os.geteuid() == 0:
                assert path.stat().st_uid == SERVICE_UID
            if path.name in ("nats_url", "database_url"):
                secrets.add(path.read_text().split(":")[2].split("@")[0])
            if path.name in ("secret_key", "password"):
                secrets.add(path.read_text())
    assert len(secrets) >= 2 * sum(map(has_schema, START_ORDER))
    for name, process in containers.running.items():
        for file in ("cmdline", "environ"):
            text = Path(f"/proc/{process.pid}/{file}").read_text(errors="replace")
            assert not [s for s in secrets if s in text], (name, file)
        log = (containers.folder / f"{name}.log").read_text()
        assert not [s for s in secrets if s in log], name


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    environment = {**_clean(), "TRADEWIND_SECRET_KEY": "short"}
    command = [sys.executable, "-m", "deploy.local.cli", "prepare", "keys", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "shorter than 32" in done.stderr
    shutil.rmtree(tmp_path / "keys", ignore_errors=True)
