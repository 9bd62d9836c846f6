"""How symbols are found and what their names say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.symbols import SymbolIndex, is_symbol, pair_of

KNOWN = ("EURUSD", "BTCUSD", "BTC/USDT", "ETH/USDT", "BRK.B", "NASDAQ:AAPL", "AAPL")


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("EURUSD", "EURUSD"),
        ("eurusd", "EURUSD"),
        ("OANDA:EURUSD", "EURUSD"),
        ("EUR/USD", "EURUSD"),
        ("BINANCE:BTCUSDT", "BTC/USDT"),
        ("btcusdt", "BTC/USDT"),
        ("BTC/USD", "BTCUSD"),  # with the slash removed
        ("BTC", "BTC/USDT"),  # a bare base
        ("binance:eth", "ETH/USDT"),
        ("brk.b", "BRK.B"),
        ("NASDAQ:AAPL", "NASDAQ:AAPL"),  # the exact name first
        ("NYSE:AAPL", "AAPL"),
        ("", None),
        ("USDT", None),
        ("BTC/", None),
        ("EURUSDX", None),
        ("X:", None),
    ],
)
def test_a_symbol_is_found_by_the_rule_of_every_surface(text: str, symbol: str | None) -> None:
    assert SymbolIndex(KNOWN).find(text) == symbol


def by_the_book(text: str, known: list[str]) -> str | None:
    """The rule, word by word, over a list."""

    def same(wanted: str) -> str | None:
        return next((k for k in known if k.upper() == wanted), None)

    text = text.upper()
    steps = [text]
    if ":" in text:
        text = text[text.index(":") + 1 :]
        steps.append(text)
    for step in steps:
        if same(step):
            return same(step)
    if "/" in text and same(text.replace("/", "")):
        return same(text.replace("/", ""))
    for k in known:
        if "/" in k and k.upper().replace("/", "") == text:
            return k
    return same(text + "/USDT") if text and "/" not in text else None


LETTERS = st.text(alphabet="ABab/:", min_size=0, max_size=5)


@given(st.lists(LETTERS.filter(bool), max_size=6, unique_by=str.upper), LETTERS)
def test_the_index_finds_what_a_look_through_the_list_finds(known: list[str], text: str) -> None:
    assert SymbolIndex(known).find(text) == by_the_book(text, known)


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("EURUSD", ("EUR", "USD")),
        ("USDJPY", ("USD", "JPY")),
        ("XAUUSD", ("XAU", "USD")),
        ("BTC/USDT", ("BTC", "USDT")),
        ("BTCUSDT", ("BTC", "USDT")),
        ("DOGEUSD", ("DOGE", "USD")),
        ("EURUSD.m", ("EUR", "USD")),
        ("ETHBTC", ("ETH", "BTC")),
        ("BTC/USDT:USDT", ("BTC", "USDT")),
        ("AAPL", ("USD", "USD")),
        ("US500", ("USD", "USD")),
        ("BRK.B", ("USD", "USD")),
    ],
)
def test_a_name_says_its_currencies(symbol: str, pair: tuple[str, str]) -> None:
    assert pair_of(symbol) == pair


@given(st.text(max_size=40))
def test_any_text_has_a_pair_and_is_a_symbol_or_not(text: str) -> None:
    base, quote = pair_of(text)
    assert base
    assert quote
    assert is_symbol(text) in (True, False)


@pytest.mark.parametrize("text", ["", " ", "EUR USD", "a" * 33, "'", "///", "EURUSD\n", "ÄÖ"])
def test_what_can_not_be_a_symbol(text: str) -> None:
    assert not is_symbol(text)
