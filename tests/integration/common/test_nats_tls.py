"""The bus over TLS: a certificate the named authority signed is taken, another or none is not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.nats import server_program
from deploy.local.ports import choose_ports
from deploy.local.probe import connects
from libs.common import bus_nats
from libs.common.errors import ConfigInvalid, ServiceUnavailable
from libs.common.nats_url import server_and_tls
from libs.common.streams import ensure_streams
from tests.certificates import write_certificate
from tests.conftest import wait_until

HERE = "127.0.0.1"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A nats-server that speaks TLS only: host:port, and its certificate."""
    mine = write_certificate(tmp_path, "server", HERE)
    port = choose_ports(["nats"], seed=str(tmp_path))["nats"]
    settings = {
        "listen": f"127.0.0.1:{port}",
        "tls": {"cert_file": str(mine), "key_file": str(mine.with_suffix(".key"))},
        "jetstream": {"store_dir": str(tmp_path / "store")},
    }
    (tmp_path / "nats.conf").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [str(server_program()), "-c", str(tmp_path / "nats.conf")], stderr=subprocess.DEVNULL
    )
    try:
        yield f"127.0.0.1:{port}", mine
    finally:
        process.terminate()
        process.wait(timeout=10)


async def test_the_bus_speaks_tls_and_knows_whom_it_speaks_to(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    address, mine = server
    host, _, port = address.partition(":")

    async def listens() -> bool:
        return not await connects(host, int(port))

    await wait_until(listens)
    await ensure_streams(f"tls://{address}?ca={mine}", ["market"], 1)
    bus = await bus_nats.connect(f"tls://{address}?ca={mine}", "test")
    assert bus.problems() == ()
    await bus.close()
    other = write_certificate(tmp_path, "other", HERE)
    with pytest.raises(ServiceUnavailable):
        await bus_nats.connect(f"tls://{address}?ca={other}", "test")


def test_what_the_address_says(tmp_path: Path) -> None:
    assert server_and_tls("nats://a:b@h:1") == ("nats://a:b@h:1", None)
    url, tls = server_and_tls(f"tls://a:b@h:1?ca={write_certificate(tmp_path, 'x', HERE)}")
    assert url == "tls://a:b@h:1"
    assert tls is not None
    with pytest.raises(ConfigInvalid, match="ca that can't be used"):
        server_and_tls("tls://h?ca=/nowhere")
