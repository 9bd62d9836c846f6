"""Whom the analysis surface refuses by country, and who may say so."""

from __future__ import annotations

import pytest

from services.gateway.addresses import Addresses, parse_networks
from services.gateway.analysis_handlers import source_of
from services.gateway.endpoints import ENDPOINTS
from services.gateway.errors import GeoBlocked
from services.gateway.geo import Geo

ROWS = {row.name: row for row in ENDPOINTS}
PROXY, STRANGER = "10.0.0.1", "203.0.113.5"


def refuses(
    header: str, block: str, country: str | None, *, peer: str = PROXY, row: str = "POST /v1/brief"
) -> bool:
    geo = Geo(header, block, Addresses(parse_networks("10.0.0.0/8")))
    try:
        geo.check(ROWS[row], peer, {} if country is None else {"CF-IPCountry": country})
    except GeoBlocked:
        return True
    return False


@pytest.mark.parametrize(
    ("header", "block", "country", "refused"),
    [
        ("CF-IPCountry", "US", "US", True),
        ("CF-IPCountry", "us, kp", " kp ", True),
        ("CF-IPCountry", "US", "DE", False),
        ("CF-IPCountry", "US", "", False),
        ("CF-IPCountry", "US", None, False),
        ("CF-IPCountry", "", "US", False),
        ("", "US", "US", False),
    ],
)
def test_a_country_is_refused_when_a_header_names_it(
    header: str, block: str, country: str | None, refused: bool
) -> None:
    assert refuses(header, block, country) == refused


def test_a_stranger_s_word_on_its_country_does_not_count() -> None:
    assert not refuses("CF-IPCountry", "US", "US", peer=STRANGER)


def test_only_the_analysis_surface_asks_and_not_where_it_answers_everywhere() -> None:
    refused = {name for name, row in ROWS.items() if refuses("CF-IPCountry", "US", "US", row=name)}
    assert {ROWS[name].surface for name in refused} == {"analysis"}
    assert {"POST /v1/brief", "POST /v1/demo", "POST /v1/keys"} <= refused
    assert not {"GET /v1/platforms", "GET /v1/status", "GET /healthz"} & refused


@pytest.mark.parametrize(
    ("feed", "source"),
    [("synthetic", "synthetic"), ("replay:/a/file.csv?speed=1", "replay"), ("ccxt:bybit", "ccxt:bybit")],
)
def test_a_feed_is_called_by_its_kind(feed: str, source: str) -> None:
    assert source_of(feed) == source
