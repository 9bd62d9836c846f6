"""Pages made from the endpoint table, the price list and ``docs/``: for people, for agents, for wallets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from libs.common.messages.billing import Terms
from libs.common.plans import PERIODS, TIERS, Plans
from services.gateway.endpoints.metered import Metered
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.endpoints.site import PAGES
from services.gateway.mcp.catalogue import tools_of
from services.gateway.pages.answers import Documentation
from services.gateway.pages.library import Page
from services.gateway.surfaces.base import Reply

Local = Callable[[Any, Caller], Awaitable[Reply]]
TermsOf = Callable[[Metered, str], Awaitable[Terms | None]]
TEXT = "text/plain; charset=utf-8"
MICROS = 1_000_000
# What agents need least of all pages stands in no full text.
_LEFT_OUT = ("CHANGELOG", "CONTRIBUTING", "ARCHITECTURE", "adr/", "runbooks/")


class Site:
    """The pages. ``plans`` are those in force now, so a changed price shows at once."""

    def __init__(
        self,
        rows: Sequence[Endpoint],
        plans: Callable[[], Plans],
        documentation: Documentation,
        terms: TermsOf,
    ) -> None:
        self._rows = [row for row in rows if not row.hidden]
        self._plans = plans
        self._documentation = documentation
        self._terms = terms

    def handlers(self) -> Mapping[str, Local]:
        """Every local handler by the name its row gives."""
        pages = {f"page_{name}": self._page(name) for name in PAGES}
        return {
            **pages,
            "pricing": self._pricing,
            "llms": self._llms,
            "llms_full": self._llms_full,
            "x402": self._x402,
        }

    def _page(self, name: str) -> Local:
        async def page(asked: Any, caller: Caller) -> Reply:
            return self._documentation.page(name)

        return page

    # ── prices ──

    def _priced(self) -> Iterator[tuple[Endpoint, int]]:
        prices = self._plans().prices
        for row in self._rows:
            if row.metered is not None and row.metered.price:
                yield row, prices.get(row.metered.price, 0)

    def pricing_text(self) -> str:
        """The page of prices as Markdown."""
        plans = self._plans()
        lines = [
            "# Pricing",
            "",
            "## Calls",
            "",
            "A call is charged when it succeeded. Prices are in US dollars.",
        ]
        lines += ["", "| call | price | what it gives |", "|---|---|---|"]
        for row, micros in self._priced():
            lines.append(f"| `{row.method} {row.path}` | {dollars(micros)} | {row.summary} |")
        lines += ["", f"A new e-mail is given {dollars(plans.starter.micros)} of credit to begin with.", ""]
        lines += ["## Plans", "", "| plan | a month | a year | requests per minute | scans per day |"]
        lines += ["|---|---|---|---|---|"]
        for name in TIERS:
            tier = plans.tier(name)
            month, year = (dollars(tier.price_micros(period)) for period in PERIODS)
            lines.append(
                f"| {name} | {month} | {year} | {tier.requests_per_min} | {tier.quotas.get('scan', 0)} |"
            )
        topup = plans.topup
        lines += ["", "## Paying", ""]
        lines += [
            f"Top up from {dollars(topup.min_micros)} by x402 (USDC), from"
            f" {dollars(topup.card_min_micros)} by card; or send no key, and pay single calls by x402."
            " Plans are paid by x402 or crypto invoice."
        ]
        return "\n".join(lines) + "\n"

    async def _pricing(self, asked: Any, caller: Caller) -> Reply:
        return self._documentation.rendered(Page("pricing", "Pricing", self.pricing_text()))

    # ── for agents ──

    async def _llms(self, asked: Any, caller: Caller) -> Reply:
        """The list of what is here (llmstxt.org)."""
        lines = [self._documentation.llms_head(), "## Interfaces", ""]
        lines += ["- [MCP](/docs/api/mcp.md): tools for agents at `POST /mcp`"]
        lines += ["- [OpenAPI 3.1](/openapi.json): every operation"]
        lines += ["- [Everything in one text](/llms-full.txt)", "- [Prices](/pricing)"]
        lines += ["- [Payment by x402](/.well-known/x402.json)"]
        lines += [
            "- `/docs/<page>.md?ask=<question>`: an answer from these pages as JSON",
            "",
            "## Tools",
            "",
        ]
        lines += [f"- `{made.name}`: {made.title}" for made in tools_of(self._rows).values()]
        return Reply(200, ("\n".join(lines) + "\n").encode(), {}, TEXT)

    async def _llms_full(self, asked: Any, caller: Caller) -> Reply:
        parts = [text for name, text in self._documentation.texts() if not name.startswith(_LEFT_OUT)]
        parts += [self.pricing_text(), self._operations()]
        return Reply(200, "\n\n".join(parts).encode(), {}, TEXT)

    def _operations(self) -> str:
        lines = ["# Operations", "", "| call | what it does |", "|---|---|"]
        lines += [f"| `{row.method} {row.path}` | {row.summary} |" for row in self._rows]
        return "\n".join(lines) + "\n"

    # ── for wallets ──

    async def _x402(self, asked: Any, caller: Caller) -> Reply:
        parts = urlsplit(caller.sent.url)
        base = f"{parts.scheme}://{parts.netloc}"
        resources = []
        for row, micros in self._priced():
            if row.metered is None or not row.metered.payable or not row.metered.keyless:
                continue
            resource = base + row.path
            terms = await self._terms(row.metered, resource)
            resources.append(
                {
                    "resource": resource,
                    "type": "http",
                    "method": row.method,
                    "description": row.summary,
                    "priceMicros": micros,
                    "accepts": terms.accepts if terms is not None else [],
                }
            )
        said = {"x402Version": 1, "versions": [1, 2], "resources": resources, "topup": f"{base}/v1/topup"}
        return Reply(200, msgspec.json.encode(said), {"Access-Control-Allow-Origin": "*"})


def dollars(micros: int) -> str:
    """An amount in US dollars, with as many decimals as it needs and two at least."""
    whole, part = divmod(micros, MICROS)
    decimals = f"{part:06d}".rstrip("0")
    return f"${whole:,}.{decimals:<02}" if len(decimals) < 2 else f"${whole:,}.{decimals}"
