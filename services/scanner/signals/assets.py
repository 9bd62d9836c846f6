"""Whose signals are told: the asset registry. Pure.

``cmcId`` and supplies are facts an operator enters; of the built-in assets only the ids are known, so their
market capitalisation is null until somebody says how many coins there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from libs.common.errors import ConfigInvalid
from libs.common.messages.signals import AssetPut, AssetsPut
from services.scanner.errors import AssetInvalid

Asset = AssetPut

BUILT_INS = (
    Asset(
        cmc_id=1,
        name="Bitcoin",
        symbol="BTC",
        slug="bitcoin",
        chains=["Bitcoin"],
        tags=["btc"],
        narratives=["Store of Value"],
        market="BTC/USDT",
    ),
    Asset(
        cmc_id=1027,
        name="Ethereum",
        symbol="ETH",
        slug="ethereum",
        chains=["Ethereum"],
        tags=["eth", "smart-contracts"],
        narratives=["Smart Contract Platform"],
        market="ETH/USDT",
    ),
    Asset(
        cmc_id=1839,
        name="BNB",
        symbol="BNB",
        slug="bnb",
        chains=["BNB Chain"],
        tags=["bnb", "exchange-token"],
        narratives=["Exchange Token", "Smart Contract Platform"],
        market="BNB/USDT",
    ),
    Asset(
        cmc_id=5426,
        name="Solana",
        symbol="SOL",
        slug="solana",
        chains=["Solana"],
        tags=["sol", "smart-contracts"],
        narratives=["Smart Contract Platform"],
        market="SOL/USDT",
    ),
    Asset(
        cmc_id=52,
        name="XRP",
        symbol="XRP",
        slug="xrp",
        chains=["XRP Ledger"],
        tags=["xrp", "payments"],
        narratives=["Payments"],
        market="XRP/USDT",
    ),
)
TRIGGER_TAGS = (
    "price-surge",
    "price-drop",
    "volume-spike",
    "regime-up",
    "regime-down",
    "regime-range",
    "resistance-break",
    "support-break",
    "liquidity-add",
    "liquidity-drain",
    "depeg",
    "price-divergence",
    "news-burst",
    "news-divergence",
)


def tags_of(asset: Asset, more: Iterable[str] = ()) -> tuple[str, ...]:
    """The tags of an asset's signals: its symbol, ``more``, the registry's; none twice in any case."""
    given: dict[str, str] = {}
    for tag in (asset.symbol, *more, *asset.tags):
        given.setdefault(tag.casefold(), tag)
    return tuple(given.values())


def checked(assets: Iterable[Asset]) -> list[Asset]:
    """The assets with names trimmed and none twice. Raises AssetInvalid."""
    found: dict[int, Asset] = {}
    for asset in assets:
        if asset.cmc_id in found:
            raise AssetInvalid(f"assets: cmcId {asset.cmc_id} stands twice")
        trimmed = {
            field: list(dict.fromkeys(name.strip() for name in getattr(asset, field)))
            for field in ("chains", "narratives", "tags", "aliases")
        }
        name, symbol = asset.name.strip(), asset.symbol.strip()
        if not name or not symbol or any("" in names for names in trimmed.values()):
            raise AssetInvalid(f"assets: cmcId {asset.cmc_id} has an empty name")
        found[asset.cmc_id] = msgspec.structs.replace(
            asset, name=name, symbol=symbol, market=asset.market.strip(), token=asset.token.strip(), **trimmed
        )
    return list(found.values())


def read_file(text: bytes) -> list[Asset]:
    """The assets of a file, in the form of ``PUT /admin/assets``. Raises ConfigInvalid."""
    try:
        return checked(msgspec.json.decode(text, type=AssetsPut).assets)
    except (msgspec.DecodeError, AssetInvalid) as e:
        raise ConfigInvalid(f"TRADEWIND_ASSETS_FILE: {e}") from e


def names_of(assets: Iterable[Asset]) -> Mapping[str, list[str]]:
    """Every chain, tag and narrative of the registry, in order of first sight."""
    listed = list(assets)
    tags = [tag for asset in listed for tag in tags_of(asset)]
    return {
        "chain": list(dict.fromkeys(chain for asset in listed for chain in asset.chains)),
        "tag": list(dict.fromkeys([*TRIGGER_TAGS, *tags])),
        "narrative": list(dict.fromkeys(name for asset in listed for name in asset.narratives)),
    }
