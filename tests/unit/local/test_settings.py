"""What the supervisor reads from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.errors import StartRefused
from deploy.local.services import Addresses, Process, environment_of, processes_of
from deploy.local.settings import Settings, installed_services, read_settings

KNOWN = ("auth", "market", "gateway")


def settings(**given: str) -> Settings:
    return read_settings({f"TRADEWIND_{name}": value for name, value in given.items()}, known=KNOWN)


def refusal(**given: str) -> str:
    with pytest.raises(StartRefused) as refused:
        settings(**given)
    return str(refused.value)


def test_the_defaults_are_those_people_rely_on() -> None:
    found = settings()
    assert (found.http_port, found.http_host, found.services) == (8080, "127.0.0.1", KNOWN)
    assert found.data == Path.cwd() / ".data"
    assert found.origin == "http://127.0.0.1:8080"


def test_an_unknown_setting_stops_the_start_and_shows_the_nearest() -> None:
    assert refusal(HTTP_PROT="1") == (
        "TRADEWIND_HTTP_PROT is not a setting; did you mean TRADEWIND_HTTP_PORT?"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "0"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "http"),
        ("GATEWAY_PROCESSES", "0"),
        ("ALERTS_PROCESSES", "17"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    text = refusal(**{name: value})
    assert f"TRADEWIND_{name}" in text
    assert "\n" not in text


def test_a_service_that_does_not_exist_is_named_with_those_that_do() -> None:
    assert refusal(SERVICES="auth,markets") == "there is no service markets; there are auth, market, gateway"


def test_chosen_services_keep_the_order_of_start() -> None:
    assert settings(SERVICES="gateway, auth").services == ("auth", "gateway")


def test_the_installed_services_are_the_programs_in_order(tmp_path: Path) -> None:
    for name in ("gateway", "market", "auth", "zebra"):
        (tmp_path / "services" / name).mkdir(parents=True)
        (tmp_path / "services" / name / "__main__.py").touch()
    (tmp_path / "services" / "draft").mkdir()
    assert installed_services(tmp_path) == ("auth", "market", "zebra", "gateway")


def test_several_gateway_processes_have_names_and_indices() -> None:
    names = [(p.name, p.index) for p in processes_of(settings(GATEWAY_PROCESSES="3"))]
    assert names[2:] == [("gateway", 0), ("gateway-1", 1), ("gateway-2", 2)]


def test_several_processes_of_alerts_have_names_and_indices() -> None:
    found = read_settings({"TRADEWIND_ALERTS_PROCESSES": "2"}, known=("alerts", "gateway"))
    assert [(p.service, p.name, p.index) for p in processes_of(found)] == [
        ("alerts", "alerts", 0),
        ("alerts", "alerts-1", 1),
        ("gateway", "gateway", 0),
    ]


def test_a_secret_reaches_its_owner_only() -> None:
    found = settings()
    addresses = Addresses(
        databases={"auth": "postgresql://auth"},
        buses={"auth": "nats://auth", "gateway": "nats://gateway"},
        metrics={"auth": 1, "gateway": 2},
    )
    inherited = {
        "PATH": "/bin",
        "DATABASE_URL": "postgresql://admin",
        "TRADEWIND_ADMIN_PASSWORD": "open sesame",
        "TRADEWIND_SECRET_KEY": "k" * 64,
    }
    private = {name: value for name, value in inherited.items() if name.startswith("TRADEWIND")}
    inherited["TRADEWIND_SMTP_URL"] = "smtp://user:secret@mail.example"
    auth = environment_of(Process("auth", 0), found, addresses, inherited, private)
    gateway = environment_of(Process("gateway", 0), found, addresses, inherited, private)
    assert auth["TRADEWIND_ADMIN_PASSWORD"] == "open sesame"
    assert auth["DATABASE_URL"] == "postgresql://auth"
    secrets = {"TRADEWIND_ADMIN_PASSWORD", "TRADEWIND_SECRET_KEY", "TRADEWIND_SMTP_URL", "DATABASE_URL"}
    assert not secrets & set(gateway)
    assert "TRADEWIND_SMTP_URL" not in auth
    assert gateway["NATS_URL"] == "nats://gateway"
    assert gateway["PATH"] == "/bin"
