"""What agents may read and be asked: pages as resources, and prompts for the common jobs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

INSTRUCTIONS = (
    "Tradewind gives market analysis, quotes, price alerts and margin accounts. Begin with "
    "tradewind_capabilities: it names timeframes and prices and costs nothing. Every other call"
    " may cost credit of the key it is made with. Answers are informational market data, not "
    "investment advice. Orders take an idempotency_key: keep it and send it again when you "
    "don't know whether an order was taken."
)
PAGES = (
    "methodology",
    "api/mcp",
    "api/rest",
    "api/stream",
    "api/status-codes",
    "glossary",
    "guide",
    "disclaimer",
)


@dataclass(frozen=True, slots=True)
class Job:
    "A prompt: ``arguments`` are name → what it is (those with a default are optional)."

    name: str
    title: str
    description: str
    arguments: Mapping[str, str]
    defaults: Mapping[str, str]
    text: str

    def filled(self, given: Mapping[str, str]) -> str:
        "The prompt with its arguments; KeyError names one that is missing."
        return Template(self.text).substitute({**self.defaults, **given})


JOBS = (
    Job(
        "market_brief",
        "Brief a market",
        "A short, sourced read of one market at one timeframe",
        {"ticker": "BASE/QUOTE, for example BTC/USDT", "timeframe": "for example 4h"},
        {"timeframe": "4h"},
        "Call tradewind_brief for $ticker at $timeframe. Say the regime, the nearest support and "
        "resistance with their strength, and any pattern with its confidence, in five sentences at "
        "most. Quote numbers as they are given. Say that this is information and no advice.",
    ),
    Job(
        "what_changed",
        "What changed",
        "Only what is new in a market since the last look",
        {"ticker": "BASE/QUOTE", "timeframe": "for example 1h"},
        {"timeframe": "1h"},
        "Call tradewind_delta for $ticker at $timeframe. If nothing changed, say so in one "
        "sentence. Else list the notes and what they mean for the regime.",
    ),
    Job(
        "history_rhymes",
        "What followed before",
        "How similar stretches of the same market went on, losers included",
        {"ticker": "BASE/QUOTE", "timeframe": "for example 4h"},
        {"timeframe": "4h"},
        "Call tradewind_analogs for $ticker at $timeframe. Give the whole distribution: how many, "
        "win rate, median, worst and best. Say how small the sample is. Do not turn it into a "
        "forecast.",
    ),
    Job(
        "watch_a_level",
        "Watch a price level",
        "Set a price alert after asking whether it is right",
        {"symbol": "for example EURUSD", "level": "the price to watch"},
        {},
        "Look up $symbol with tradewind_quotes. Tell the user the current price and how far $level "
        "is, ask whether to alert when it is reached, and only after a yes call "
        "tradewind_alert_create with an idempotency_key.",
    ),
)
