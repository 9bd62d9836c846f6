"""What the synthetic market is made of: underlyings, how they move together, and their instruments."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


class Activity(Enum):
    """How a market's day goes."""

    FOREX = "forex"
    CRYPTO = "crypto"


@dataclass(frozen=True, slots=True)
class Underlying:
    """Something with a price: its anchor in the quote currency and its yearly volatility."""

    name: str
    price: float
    sigma_year: float
    activity: Activity


@dataclass(frozen=True, slots=True)
class Model:
    """An instrument on an underlying. ``spread`` in points in quiet hours; ``basis`` scales the price."""

    symbol: str
    underlying: str
    digits: int
    spread: int
    volume_minute: float
    basis: float = 1.0


UNDERLYINGS = (
    Underlying("EUR", 1.0950, 0.075, Activity.FOREX),
    Underlying("GBP", 1.2800, 0.085, Activity.FOREX),
    Underlying("JPY", 148.50, 0.095, Activity.FOREX),
    Underlying("XAU", 2450.0, 0.150, Activity.FOREX),
    Underlying("BTC", 64_000.0, 0.500, Activity.CRYPTO),
    Underlying("ETH", 3_200.0, 0.620, Activity.CRYPTO),
    Underlying("SOL", 150.0, 0.800, Activity.CRYPTO),
    Underlying("BNB", 580.0, 0.560, Activity.CRYPTO),
    Underlying("XRP", 0.60, 0.780, Activity.CRYPTO),
)

CORRELATION = np.array(
    [  # EUR   GBP    JPY    XAU   BTC   ETH   SOL   BNB   XRP
        [1.00, 0.72, -0.45, 0.35, 0.10, 0.10, 0.10, 0.08, 0.08],
        [0.72, 1.00, -0.35, 0.28, 0.12, 0.12, 0.12, 0.10, 0.10],
        [-0.45, -0.35, 1.00, -0.40, -0.05, -0.05, -0.05, -0.05, -0.05],
        [0.35, 0.28, -0.40, 1.00, 0.15, 0.12, 0.10, 0.10, 0.10],
        [0.10, 0.12, -0.05, 0.15, 1.00, 0.82, 0.72, 0.70, 0.62],
        [0.10, 0.12, -0.05, 0.12, 0.82, 1.00, 0.76, 0.72, 0.64],
        [0.10, 0.12, -0.05, 0.10, 0.72, 0.76, 1.00, 0.66, 0.60],
        [0.08, 0.10, -0.05, 0.10, 0.70, 0.72, 0.66, 1.00, 0.58],
        [0.08, 0.10, -0.05, 0.10, 0.62, 0.64, 0.60, 0.58, 1.00],
    ]
)

MODELS = (
    Model("EURUSD", "EUR", 5, 9, 90.0),
    Model("GBPUSD", "GBP", 5, 13, 80.0),
    Model("USDJPY", "JPY", 3, 11, 85.0),
    Model("XAUUSD", "XAU", 2, 22, 110.0),
    Model("BTCUSD", "BTC", 2, 650, 18.0, 0.9997),
    Model("ETHUSD", "ETH", 2, 60, 120.0, 0.9997),
    Model("SOLUSD", "SOL", 3, 30, 900.0, 0.9997),
    Model("BTC/USDT", "BTC", 2, 100, 22.0),
    Model("ETH/USDT", "ETH", 2, 20, 260.0),
    Model("SOL/USDT", "SOL", 3, 12, 2_200.0),
    Model("BNB/USDT", "BNB", 2, 10, 160.0),
    Model("XRP/USDT", "XRP", 5, 8, 60_000.0),
)
