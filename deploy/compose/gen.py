"""``python -m deploy.compose.gen FOLDER``: ``compose.yml`` from the list of services, below ``FOLDER``.

JSON is YAML: the file is written by hand-made indentation for readers, every value by ``json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local.prepare import SERVICE_UID
from deploy.local.services import has_schema
from deploy.local.settings import START_ORDER
from libs.common.config import PREFIX, SETTINGS

POSTGRES, NATS = "postgres:18", "nats:2.15"
PROMETHEUS, GRAFANA = "prom/prometheus:v3.5.0", "grafana/grafana:12.1.0"
# Small files of the log, as in deploy/local: a commit that begins the next one waits until it is zeroed.
POSTGRES_INITDB = "--auth=scram-sha-256 --locale-provider=builtin --builtin-locale=C.UTF-8 --wal-segsize=1"
METRICS_PORT = 9100
KEYS = "/run/tradewind"
_HEAD = """\
# The house as containers. Written by `make gen` from deploy/compose/gen.py.
#   openssl rand -hex 32 > deploy/compose/secret_key        (once; keep it, it makes every password)
#   openssl rand -base64 18 > deploy/compose/admin_password
#   docker compose -f deploy/compose/compose.yml up --build --wait
"""


def compose() -> dict[str, Any]:
    """The whole file as an object."""
    return {
        "name": "tradewind",
        "services": {
            "keys": _keys(),
            "postgres": _postgres(),
            "nats": _nats(),
            "house": _house(),
            **{name: _service(name) for name in START_ORDER},
            "exporter": _exporter(),
            "prometheus": _prometheus(),
            "grafana": _grafana(),
        },
        "volumes": _named("keys", "postgres", "nats", "auth", "market", "notifier", "prometheus", "grafana"),
        "secrets": {
            "secret_key": {"file": "./secret_key"},
            "admin_password": {"file": "./admin_password"},
        },
    }


def _named(*names: str) -> dict[str, Any]:
    return {name: {} for name in names}


def _ours(*command: str, user: str = str(SERVICE_UID)) -> dict[str, Any]:
    """What every container of our image has: no rights, nothing writable but /tmp."""
    return {
        "image": "tradewind",
        "build": {"context": "../..", "dockerfile": "Dockerfile"},
        "command": ["python", "-m", *command],
        "user": user,
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
    }


def _once(*command: str, user: str = str(SERVICE_UID)) -> dict[str, Any]:
    return _ours("deploy.local.cli", "prepare", *command, user=user) | {"restart": "no"}


def _keys() -> dict[str, Any]:
    # Root for one moment: it hands each file to the user that may read it.
    return _once("keys", user="0") | {
        "environment": {f"{PREFIX}SECRET_KEY_FILE": "/run/secrets/secret_key"},
        "secrets": ["secret_key"],
        # A new volume takes over the owner of the image's folder it is first mounted on: NATS gets its own.
        "volumes": [f"keys:{KEYS}", "nats:/data"],
        "cap_add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
    }


def _house() -> dict[str, Any]:
    return _once("house", user="0") | {
        "environment": {f"{PREFIX}SECRET_KEY_FILE": "/run/secrets/secret_key"},
        "secrets": ["secret_key"],
        "volumes": [f"keys:{KEYS}:ro"],
        "cap_add": ["DAC_READ_SEARCH"],
        "depends_on": _after(postgres="service_healthy", nats="service_healthy"),
    }


def _postgres() -> dict[str, Any]:
    return {
        "image": POSTGRES,
        "environment": {
            "POSTGRES_USER": "tradewind",
            "POSTGRES_DB": "tradewind",
            "POSTGRES_PASSWORD_FILE": "/keys/password",
            "POSTGRES_INITDB_ARGS": POSTGRES_INITDB,
        },
        "command": [
            "postgres",
            "-c",
            "shared_buffers=256MB",
            "-c",
            "max_wal_size=1GB",
            "-c",
            "min_wal_size=80MB",
            "-c",
            "idle_in_transaction_session_timeout=60s",
        ],
        "volumes": ["postgres:/var/lib/postgresql", _part("postgres", "/keys")],
        "healthcheck": _check("pg_isready -U tradewind -d tradewind"),
        "depends_on": _after(keys="service_completed_successfully"),
        "shm_size": "256mb",
        "restart": "unless-stopped",
    }


def _nats() -> dict[str, Any]:
    return {
        "image": f"{NATS}-alpine",
        "command": ["-c", "/etc/tradewind/nats.conf"],
        "user": str(SERVICE_UID),
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108
        "volumes": ["nats:/data", _part("nats", "/etc/tradewind")],
        "healthcheck": _check("wget -q -O - http://127.0.0.1:8222/healthz?js-enabled-only=true"),
        "depends_on": _after(keys="service_completed_successfully"),
        "restart": "unless-stopped",
    }


def _service(name: str) -> dict[str, Any]:
    files = {"NATS_URL_FILE": "/keys/nats_url"}
    if has_schema(name):
        files["DATABASE_URL_FILE"] = "/keys/database_url"
    made = _ours(f"services.{name}") | {
        "environment": files
        | {
            f"{PREFIX}DATA_DIR": "/data",
            f"{PREFIX}METRICS_PORT": str(METRICS_PORT),
            f"{PREFIX}METRICS_HOST": "0.0.0.0",  # noqa: S104
            f"{PREFIX}SERVICES": ",".join(START_ORDER),
            **_passed(name),
        },
        "volumes": [_part(name, "/keys"), *_data(name)],
        "healthcheck": _check(
            "python -c 'import urllib.request as u; "
            f'u.urlopen("http://127.0.0.1:{METRICS_PORT}/livez", timeout=2)\''
        ),
        "depends_on": _after(house="service_completed_successfully"),
    }
    if name == "auth":
        made["environment"][f"{PREFIX}SECRET_KEY_FILE"] = "/keys/secret_key"
        made["environment"][f"{PREFIX}ADMIN_PASSWORD_FILE"] = "/run/secrets/admin_password"
        made["secrets"] = ["admin_password"]
    if name == "gateway":
        made["environment"][f"{PREFIX}HTTP_HOST"] = "0.0.0.0"  # noqa: S104
        made["ports"] = [f"127.0.0.1:${{{PREFIX}HTTP_PORT:-8080}}:8080"]
    return made


def _passed(name: str) -> dict[str, str]:
    """Settings an operator may give in the environment of compose: those that are no secret of another."""
    ours = {"SECRET_KEY", "ADMIN_PASSWORD", "DATA_DIR", "HTTP_HOST", "HTTP_PORT", "SERVICES", "TLS_DIR"}
    ours |= {"METRICS_PORT", "METRICS_HOST", "PROCESS_INDEX", "GATEWAY_PROCESSES", "ALERTS_PROCESSES"}
    return {
        f"{PREFIX}{key}": f"${{{PREFIX}{key}:-}}"
        for key, setting in SETTINGS.items()
        if key not in ours and setting.only in ("", name)
    }


def _data(name: str) -> list[str]:
    """A folder of its own for those who keep a key or read files."""
    return [f"{name}:/data"] if name in ("auth", "market", "notifier") else []


def _exporter() -> dict[str, Any]:
    return _ours("deploy.local.cli", "prepare", "exporter") | {
        "volumes": [
            {
                "type": "volume",
                "source": "keys",
                "target": f"{KEYS}/bootstrap",
                "read_only": True,
                "volume": {"subpath": "bootstrap"},
            }
        ],
        "depends_on": _after(house="service_completed_successfully"),
    }


def _prometheus() -> dict[str, Any]:
    return {
        "image": PROMETHEUS,
        "volumes": [
            "./prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            "../prometheus/rules:/etc/prometheus/rules:ro",
            "prometheus:/prometheus",
        ],
        "read_only": True,
        "user": "65534",
        "ports": ["127.0.0.1:9090:9090"],
        "restart": "unless-stopped",
    }


def _grafana() -> dict[str, Any]:
    return {
        "image": GRAFANA,
        "environment": {
            "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/admin_password",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": "/var/lib/tradewind/dashboards/overview.json",
        },
        "secrets": ["admin_password"],
        "volumes": [
            "../grafana/provisioning:/etc/grafana/provisioning:ro",
            "../grafana/dashboards:/var/lib/tradewind/dashboards:ro",
            "grafana:/var/lib/grafana",
        ],
        "ports": ["127.0.0.1:3000:3000"],
        "depends_on": _after(prometheus="service_started"),
        "restart": "unless-stopped",
    }


def _part(name: str, target: str) -> dict[str, Any]:
    """The keys of one service, read-only, and no other's."""
    return {
        "type": "volume",
        "source": "keys",
        "target": target,
        "read_only": True,
        "volume": {"subpath": name},
    }


def _after(**conditions: str) -> dict[str, Any]:
    return {name: {"condition": condition} for name, condition in conditions.items()}


def _check(command: str) -> dict[str, Any]:
    return {
        "test": ["CMD-SHELL", command],
        "interval": "5s",
        "timeout": "3s",
        "retries": 12,
        "start_period": "20s",
    }


def yaml_of(value: Any, depth: int = 0) -> str:
    """Block YAML of dicts, lists and JSON scalars."""
    indent = "  " * depth
    if isinstance(value, Mapping) and value:
        return "\n".join(f"{indent}{key}:{_under(each, depth)}" for key, each in value.items())
    if (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and any(isinstance(v, Mapping) for v in value)
    ):
        return "\n".join(_item(each, depth) for each in value)
    return f"{indent}{json.dumps(value)}"


def _under(value: Any, depth: int) -> str:
    nested = isinstance(value, Mapping) and value
    mixed = isinstance(value, list) and any(isinstance(each, Mapping) for each in value)
    return f"\n{yaml_of(value, depth + 1)}" if nested or mixed else f" {json.dumps(value)}"


def _item(value: Any, depth: int) -> str:
    text = yaml_of(value, depth + 1)
    return f"{'  ' * depth}- {text.lstrip()}"


def scrape_names() -> Iterable[str]:
    """Every container with metrics."""
    return (*START_ORDER, "exporter")


def prometheus_yml() -> str:
    """Prometheus beside the containers: found by DNS, a name each."""
    jobs = "".join(
        f"  - job_name: {name}\n    honor_labels: true\n"
        f"    dns_sd_configs: [{{names: [{name}], type: A, port: {METRICS_PORT}, refresh_interval: 10s}}]\n"
        f"    relabel_configs:\n      - {{target_label: job, replacement: tradewind}}\n"
        f"      - {{target_label: service, replacement: {'house' if name == 'exporter' else name}}}\n"
        f"      - {{target_label: process, replacement: {name}}}\n"
        for name in scrape_names()
    )
    return (
        "# Written by `make gen` from deploy/compose/gen.py.\n"
        "global: {scrape_interval: 5s, evaluation_interval: 15s}\n"
        "rule_files: [rules/*.yml]\n"
        "scrape_configs:\n" + jobs
    )


def main(folder: Path) -> None:
    """Write both files."""
    target = folder / "deploy/compose"
    target.mkdir(parents=True, exist_ok=True)
    (target / "compose.yml").write_text(_HEAD + yaml_of(compose()) + "\n")
    (target / "prometheus.yml").write_text(prometheus_yml())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
