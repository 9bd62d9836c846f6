"""The page on which a person tries the analysis, in a real browser, drawn from the running house."""

from __future__ import annotations

import asyncio
import json
import re
from html import unescape
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import matplotlib.image
import numpy as np
import pytest
import pytest_asyncio

from services.scanner.snapshot import snapshot
from tests import browser
from tests.contract.analysis.conftest import load
from tests.contract.auth.people import Town
from tests.house import House
from tests.unit.scanner.series import walk

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PAIR = "TST/USDT"
UP, DOWN = (26, 127, 90), (192, 37, 45)  # the colours of the page's rising and falling candles
# A walk that shows most patterns at once in its newest 120 candles.
BARS = max(
    (walk(seed, 120, decimals=2, start=60_000.0, move=0.006) for seed in range(120)),
    key=lambda bars: len(snapshot(bars).patterns),
)


@pytest_asyncio.fixture(scope="module")
async def house(module_house: House) -> House:
    names = ("auth", "market", "scanner", "gateway")
    await module_house.start(*names, SERVICES=",".join(names))
    town = Town(module_house)
    await load(await town.admin(), PAIR, "1h", BARS)
    await town.close()
    return module_house


def address(house: House, ticker: str) -> str:
    return f"{house.url}/try?ticker={quote(ticker, safe='')}&timeframe=1h"


async def test_the_page_draws_the_candles_it_asked_for(house: House, tmp_path: Path) -> None:
    page = await asyncio.to_thread(browser.page_of, address(house, PAIR), tmp_path)
    assert 'data-state="drawn"' in page
    assert 'data-candles="120"' in page
    answer = json.loads(unescape(re.findall(r'<pre id="json">(.*?)</pre>', page, re.DOTALL)[0]))
    assert f">{answer['analysis']['nl']}</p>" in unescape(page)
    assert page.count("<canvas") >= 2
    for level in (*answer["analysis"]["levels"]["support"], *answer["analysis"]["levels"]["resistance"]):
        assert f" {level['price']:.2f}</td>" in page
    assert len(answer["analysis"]["patterns"]) >= 4
    for pattern in answer["analysis"]["patterns"]:
        assert pattern["name"].replace("_", " ") in page
    assert "Apache License 2.0" in page
    assert "not investment advice" in page


async def test_candles_and_levels_are_seen_in_the_picture(house: House, tmp_path: Path) -> None:
    picture = await asyncio.to_thread(browser.picture_of, address(house, PAIR), tmp_path)
    pixels = (matplotlib.image.imread(BytesIO(picture), format="png")[..., :3] * 255).round().astype(int)
    for colour in (UP, DOWN):
        same = (np.abs(pixels - np.array(colour)) <= 2).all(axis=-1)
        assert same.sum() > 400  # candles, levels and their names
        columns = np.nonzero(same.any(axis=0))[0]
        assert np.ptp(columns) > 600  # over the width of the chart


async def test_a_refusal_is_shown_in_words(house: House, tmp_path: Path) -> None:
    page = await asyncio.to_thread(browser.page_of, address(house, "ZZZ/USDT"), tmp_path)
    assert 'data-state="failed"' in page
    assert "no candles of ZZZ/USDT" in page
