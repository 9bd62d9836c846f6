"""Free ports, and the book that remembers them."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from deploy.local.errors import StartRefused
from deploy.local.ports import PortBook, choose_ports, refuse_port_in_use


def listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_every_name_gets_a_port_of_its_own() -> None:
    ports = choose_ports([f"p{n}" for n in range(40)], seed="x")
    assert len(set(ports.values())) == 40


def test_a_wished_port_is_taken_when_it_is_free() -> None:
    wished = choose_ports(["a"], seed="y")["a"]
    assert choose_ports(["a"], seed="other", wished={"a": wished}) == {"a": wished}


def test_a_wished_port_in_use_is_replaced() -> None:
    with listen() as server:
        port = server.getsockname()[1]
        assert choose_ports(["a"], seed="y", wished={"a": port})["a"] != port


def test_a_port_promised_to_another_is_not_given_twice() -> None:
    first = choose_ports(["a"], seed="z")["a"]
    assert choose_ports(["b"], seed="z", wished={"b": first}, taken={first})["b"] != first


def test_the_book_keeps_the_ports_of_the_last_run(tmp_path: Path) -> None:
    book = PortBook(tmp_path, http=8080)
    chosen = book.choose("postgres"), book.choose_metrics(["auth", "gateway-1"])
    book.write()
    again = PortBook(tmp_path, http=8080)
    assert (again.choose("postgres"), again.choose_metrics(["auth", "gateway-1"])) == chosen
    written = json.loads((tmp_path / "ports.json").read_text())
    assert written == {"http": 8080, "postgres": chosen[0], "metrics": chosen[1]}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"postgres":"x","metrics":[]}', '{"nats":-1,"metrics":{"a":true}}']
)
def test_a_torn_book_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    book = PortBook(tmp_path, http=8080)
    assert book.choose("postgres") > 0
    assert book.choose_metrics(["a"])["a"] > 0


def test_a_port_in_use_is_refused_with_its_holder_and_the_remedy() -> None:
    with listen() as server:
        port = server.getsockname()[1]
        with pytest.raises(StartRefused) as refused:
            refuse_port_in_use("127.0.0.1", port)
    text = str(refused.value)
    assert f"port {port} on 127.0.0.1 is in use by pid {os.getpid()} (" in text
    assert "--http-port" in text
    assert "\n" not in text


def test_a_free_port_is_not_refused() -> None:
    refuse_port_in_use("127.0.0.1", choose_ports(["a"], seed="free")["a"])


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartRefused, match=r"can't listen on 192\.0\.2\.1:8080"):
        refuse_port_in_use("192.0.2.1", 8080)
