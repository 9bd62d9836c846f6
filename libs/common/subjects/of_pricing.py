"""What pricing says and is asked: prices of tokens, pools, anchors."""

from __future__ import annotations

from libs.common.messages import pricing
from libs.common.subjects.kinds import Command, Subject

TOKEN_PRICE = Subject("pricing.tick.price.v1.{token}.{symbol}", pricing.PriceTick)
PRICE_BOARD = Subject("pricing.tick.board.v1", pricing.BoardTick)
DEPEGGED = Subject("pricing.evt.token.depegged.v1.{token}", pricing.Depegged, stream="PRICING")

POOLS_PUT = Command(
    "pricing.cmd.pools.put.v1", pricing.PoolsPut, pricing.PoolsTaken, effect=True, timeout_s=30.0
)
TOKEN_PRICES = Command(
    "pricing.cmd.price.list.v1", pricing.PriceListAsk, pricing.PriceList, callers=("gateway", "scanner")
)
TOKEN_PRICE_GET = Command("pricing.cmd.price.get.v1", pricing.PriceAsk, pricing.OnePrice)
TOKEN_HISTORY = Command("pricing.cmd.price.history.v1", pricing.HistoryAsk, pricing.Envelope)
TOKEN_QUOTE = Command("pricing.cmd.token.quote.v1", pricing.TokenQuoteAsk, pricing.Envelope)
TOKEN_LIQUIDITY = Command("pricing.cmd.token.liquidity.v1", pricing.PriceAsk, pricing.Envelope)
ANCHOR_PRICE = Command("pricing.cmd.anchor.get.v1", pricing.OracleAsk, pricing.Envelope)
TOKEN_PRICE_HEALTH = Command("pricing.cmd.price.health.v1", pricing.PriceHealthAsk, pricing.Envelope)
TOKEN_PRICE_FRAMES = Command("pricing.cmd.price.frames.v1", pricing.PriceFramesAsk, pricing.PriceFrames)
