"""The pages for people and agents: every link leads somewhere, and prices are those in force."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

from libs.common.messages.billing import Terms
from libs.common.subjects import TERMS
from services.gateway.endpoints import ENDPOINTS
from services.gateway.endpoints.site import PAGES
from services.gateway.mcp.catalogue import tools_of
from services.gateway.pages.site import dollars
from tests.contract.gateway.edge import Client, Edge

ATTRIBUTE = re.compile(r'(?:href|src)="([^"]+)"')
MARKDOWN = re.compile(r"\]\(([^)\s]+)\)")
BEGIN = ("/docs", "/llms.txt", "/pricing", *(f"/{name}" for name in PAGES))


def links_of(text: str, kind: str) -> list[str]:
    if kind.startswith("text/html"):
        return [unescape(link) for link in ATTRIBUTE.findall(text)]
    # The links of a page's own Markdown are those of the repository it stands in.
    return MARKDOWN.findall(text) if kind.startswith("text/plain") else []


async def test_every_link_of_every_page_leads_somewhere(at_edge: tuple[Edge, Client]) -> None:
    _, client = at_edge
    waiting, seen, broken = list(BEGIN), set(BEGIN), []
    while waiting:
        path = waiting.pop()
        answer = await client.get(path)
        if answer.status != 200:
            broken.append((path, answer.status))
            continue
        kind = answer.headers["Content-Type"]
        whole = path == "/llms-full.txt"  # the pages as they stand, with links between their files
        text = "" if whole or not kind.startswith("text/") else answer.body.decode()
        anchors = set(re.findall(r'id="([^"]+)"', text))
        for link in links_of(text, kind):
            parts = urlsplit(link)
            if not link.startswith("#") and (parts.scheme or parts.netloc):
                continue
            if link.startswith("#") and link[1:] not in anchors:
                broken.append((path, link))
            target = urlsplit(urljoin(path, link)).path
            if target not in seen and not target.endswith((".py", ".svg", "/")):
                seen.add(target)
                waiting.append(target)
    assert broken == [], sorted(map(str, broken))
    assert len(seen) > 20


async def test_prices_are_those_in_force(at_edge: tuple[Edge, Client]) -> None:
    _, client = at_edge
    page = (await client.get("/pricing")).body.decode()
    platforms = (await client.get("/v1/platforms")).json
    for said in platforms["endpoints"]:
        if said["priceMicros"]:
            row = (
                f"<code>{said['method']} {said['path']}</code></td>\n<td>{dollars(said['priceMicros'])}</td>"
            )
            assert row in page


async def test_agents_are_told_of_every_tool_and_every_call(at_edge: tuple[Edge, Client]) -> None:
    _, client = at_edge
    short = (await client.get("/llms.txt")).body.decode()
    for name in tools_of(ENDPOINTS):
        assert f"`{name}`" in short
    whole = (await client.get("/llms-full.txt")).body.decode()
    for row in ENDPOINTS:
        if not row.hidden:
            assert f"`{row.method} {row.path}`" in whole
    assert "# Methodology" in whole or "methodology" in whole.lower()


async def test_wallets_find_the_terms_of_every_call_they_can_pay(at_edge: tuple[Edge, Client]) -> None:
    edge, client = at_edge
    terms = [{"scheme": "exact", "network": "base", "maxAmountRequired": "10000"}]
    edge.answer(TERMS, lambda ask: Terms(message="pay", accepts=terms, header="e30="))
    said = (await client.get("/.well-known/x402.json")).json
    payable = {row.path for row in ENDPOINTS if row.metered and row.metered.payable and row.metered.keyless}
    assert {urlsplit(found["resource"]).path for found in said["resources"]} == payable
    assert all(found["accepts"] == terms for found in said["resources"])
    assert {urlsplit(ask.resource).path for ask in edge.heard[TERMS.name]} == payable


def test_amounts_are_written_as_people_write_them() -> None:
    amounts = {10_000: "$0.01", 8_000: "$0.008", 9_000_000: "$9.00", 1_500_000: "$1.50", 0: "$0.00"}
    amounts |= {1_234_567: "$1.234567", 490_000_000: "$490.00", 1_000_000_000_000: "$1,000,000.00"}
    for micros, text in amounts.items():
        assert dollars(micros) == text
