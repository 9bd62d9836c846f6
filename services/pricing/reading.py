"""From a graph as it is sent or kept (JSON) to tokens and pools, and back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.common.messages.pricing import PoolPut, PoolsPut, Reserve, TokenPut
from services.pricing.sources import PoolGraph
from services.pricing.tokens import GraphInvalid, Pool, Token

DIGITS_MAX = 60


def whole(value: Reserve, what: str) -> int:
    """A whole number that may come as a text; GraphInvalid when it is none."""
    if isinstance(value, float):
        if not value.is_integer():
            raise GraphInvalid(f"{what}: {value} is no whole number of atomic units")
        return int(value)
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MAX):
            raise GraphInvalid(f"{what}: {value[:DIGITS_MAX]!r} is no whole number of atomic units")
        return int(value)
    return value


def tokens_of(given: Sequence[TokenPut]) -> list[Token]:
    """Tokens as values."""
    return [
        Token(
            token.token_id,
            token.symbol,
            token.name,
            token.decimals,
            token.image,
            token.description,
            token.lp_pool,
            whole(token.lp_supply, f"{token.token_id[:80]}: lpSupply"),
        )
        for token in given
    ]


def pools_of(given: Sequence[PoolPut], now_ms: int) -> list[Pool]:
    """Pools as values; reserves without a time were read now."""
    return [
        Pool(
            pool.pool_id,
            pool.token_a,
            pool.token_b,
            whole(pool.reserve_a, f"{pool.pool_id[:80]}: reserveA"),
            whole(pool.reserve_b, f"{pool.pool_id[:80]}: reserveB"),
            pool.fee,
            now_ms if pool.last_updated is None else pool.last_updated,
        )
        for pool in given
    ]


def graph_of(body: bytes, now_ms: int) -> PoolGraph:
    """The graph of a JSON document in the form of ``PUT /admin/pools``; GraphInvalid when it is none."""
    try:
        given = msgspec.json.decode(body, type=PoolsPut)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
        raise GraphInvalid(f"not a graph of pools: {e}") from e
    return PoolGraph(tokens_of(given.tokens), pools_of(given.pools, now_ms), given.anchor_token_id or "")


def document_of(tokens: Sequence[Token], pools: Sequence[Pool], anchor_id: str) -> bytes:
    """The same graph as JSON; reserves are texts, so that none is rounded on its way."""
    return msgspec.json.encode(
        PoolsPut(
            tokens=[
                TokenPut(
                    token_id=token.id,
                    symbol=token.symbol,
                    name=token.name,
                    decimals=token.decimals,
                    image=token.image,
                    description=token.description,
                    lp_pool=token.lp_pool,
                    lp_supply=str(token.lp_supply),
                )
                for token in tokens
            ],
            pools=[
                PoolPut(
                    pool_id=pool.id,
                    token_a=pool.a,
                    token_b=pool.b,
                    reserve_a=str(pool.reserve_a),
                    reserve_b=str(pool.reserve_b),
                    fee=pool.fee,
                    last_updated=pool.updated_ms,
                )
                for pool in pools
            ],
            anchor_token_id=anchor_id,
        )
    )
