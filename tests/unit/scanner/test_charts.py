"""Charts: labels that stand apart, a picture's file, and a sheet that is empty before each drawing."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.scanner import charts
from services.scanner.bars import Bars
from services.scanner.chart_spec import ChartSpec, price_steps, spread
from services.scanner.snapshot import snapshot
from tests.unit.scanner.series import walk

HOUR_MS = 3_600_000


def spec_of(bars: Bars, **changed: object) -> ChartSpec:
    """A chart with levels and a plan."""
    columns = (bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
    now, close = snapshot(bars), float(bars.close[-1])
    given = {
        "candles": [tuple(row) for row in zip(*(c.tolist() for c in columns), strict=True)],
        "span_ms": HOUR_MS,
        "digits": 2,
        "title": "TST · 1h · Double top",
        "subtitle": "bearish",
        "footer": "",
        "pattern_name": "Double top",
        "direction": "bearish",
        "formation": (0, 3),
        "support": [(level.price, level.strength) for level in now.support],
        "resistance": [(level.price, level.strength) for level in now.resistance],
        "entry": close,
        "stop": close * 1.02,
        "targets": (close * 0.98, close * 0.97),
        **changed,
    }
    return ChartSpec(**given)  # type: ignore[arg-type]


def pixels(picture: bytes) -> np.ndarray:
    """What a reader of pictures sees."""
    image = Image.open(io.BytesIO(picture))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (1920, 1080))
    return np.asarray(image)


def test_a_picture_does_not_hang_on_what_was_drawn_before() -> None:
    one, other = spec_of(walk(1, 200)), spec_of(walk(2, 20), code="ABC234", digits=8)
    first = charts.draw(one)
    assert charts.draw(other) != first
    assert charts.draw(one) == first
    broken = spec_of(walk(3, 200), direction="sideways")
    with pytest.raises(KeyError):
        charts.draw(broken)
    assert charts.draw(one) == first


def test_the_file_holds_the_pixels_that_were_drawn() -> None:
    rng = np.random.default_rng(5)
    rgba = rng.integers(0, 256, (1080, 1920, 4), dtype=np.uint8)
    assert (pixels(charts._png(rgba)) == rgba[..., :3]).all()


@pytest.mark.parametrize("count", [20, 200])
def test_nothing_is_drawn_over_the_edge_of_the_picture(count: int) -> None:
    """The outermost pixels stay white with long prices, a long name at the left edge and crowded labels."""
    bars = walk(4, count)
    close = float(bars.close[-1])
    crowded = [(close * (1 + step / 10_000), 1.0) for step in range(-3, 4)]
    drawn = spec_of(
        bars, digits=8, resistance=crowded, pattern_name="Concealing baby swallow", stop=close * 1.0001
    )
    seen = pixels(charts.draw(drawn))
    for edge in (seen[:, :4], seen[:, -4:], seen[:4], seen[-4:]):
        assert (edge == 255).all()


def test_a_plain_chart_has_no_plan_and_no_levels() -> None:
    bars = walk(6, 200)
    bare = {"support": (), "resistance": (), "entry": None, "stop": None, "targets": (), "plain": True}
    assert charts.draw(spec_of(bars, plain=True)) == charts.draw(spec_of(bars, **bare))


@given(
    places=st.lists(st.floats(0, 100), min_size=1, max_size=12).map(sorted),
    gap=st.floats(0.5, 8),
)
@settings(max_examples=150, deadline=None)
def test_labels_stand_apart_in_order_and_where_they_belong_if_there_is_room(
    places: list[float], gap: float
) -> None:
    found = spread(places, gap, 0.0, 100.0)
    assert all(b - a >= gap * (1 - 1e-9) for a, b in pairwise(found))
    assert found[0] >= 0.0 and found[-1] <= 100.0 + 1e-9
    if all(b - a >= gap for a, b in pairwise(places)):
        assert found == pytest.approx(places)
    # No label can be moved nearer to its place without touching another one or a bound.
    cost = sum((a - b) ** 2 for a, b in zip(found, places, strict=True))
    for number in range(len(found)):
        for step in (-0.01, 0.01):
            moved = [*found]
            moved[number] += step
            apart = all(b - a >= gap for a, b in pairwise(moved))
            if apart and moved[0] >= 0.0 and moved[-1] <= 100.0:
                assert sum((a - b) ** 2 for a, b in zip(moved, places, strict=True)) >= cost - 1e-9


@given(low=st.floats(1e-8, 1e6), width=st.floats(1e-3, 10))
@settings(max_examples=100, deadline=None)
def test_prices_of_the_grid_are_round_and_some(low: float, width: float) -> None:
    high = low * (1 + width)
    steps = price_steps(low, high)
    assert 2 <= len(steps) <= 17
    assert all(low < price < high for price in steps)
    assert price_steps(high, low) == []
