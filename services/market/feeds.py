"""Which feed a setting names."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.errors import ConfigInvalid

KINDS = ("synthetic", "replay:FILE[?speed=X|max]", "manual", "binance", "kraken", "ccxt:EXCHANGE")


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """A feed's kind and, where it has one, what follows the colon."""

    kind: str
    argument: str = ""

    @property
    def source(self) -> str:
        """The name stored with candles."""
        return f"ccxt:{self.argument}" if self.kind == "ccxt" else self.kind

    @property
    def live(self) -> bool:
        """Whether this is a market of the outside world."""
        return self.kind in ("binance", "kraken", "ccxt")


def feed_spec(text: str) -> FeedSpec:
    """Read TRADEWIND_FEED; ConfigInvalid says what it may be."""
    kind, colon, argument = text.strip().partition(":")
    if kind in ("synthetic", "manual", "binance", "kraken") and not colon:
        return FeedSpec(kind)
    if kind in ("replay", "ccxt") and argument:
        return FeedSpec(kind, argument)
    raise ConfigInvalid(f"TRADEWIND_FEED was {text!r}; it is one of {', '.join(KINDS)}")
