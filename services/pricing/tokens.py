"""Tokens and pools as values, and which of them can be believed. Pure.

A whole graph is taken or refused: what is wrong is said, and the graph before it stays in force. A pool
without reserves is no mistake (it was drained): it is kept and prices nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DECIMALS_MAX = 18
RESERVE_MAX = 10**48
FAULTS_SAID_MAX = 5
ID_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class Token:
    """A token. ``lp_supply`` (atomic units) and ``lp_pool`` make it the share of a pool."""

    id: str
    symbol: str
    name: str
    decimals: int
    image: str = ""
    description: str = ""
    lp_pool: str = ""
    lp_supply: int = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """Two tokens and their reserves in atomic units; ``updated_ms`` is when these were read."""

    id: str
    a: str
    b: str
    reserve_a: int
    reserve_b: int
    fee: float = 0.0
    updated_ms: int = 0


class GraphInvalid(Exception):
    """A graph that can't be taken; the text names what is wrong."""


def units(reserve: int, decimals: int) -> float:
    """Whole tokens of an atomic amount, rounded once."""
    found: float = reserve / 10**decimals
    return found


def check_id(token_id: str) -> str:
    """What is wrong with an id, empty when it can be one: ``<principal>.<contract>``, visible characters."""
    if "." not in token_id:
        return "Token contract ID must contain a period (.)"
    head, _, tail = token_id.rpartition(".")
    visible = all("!" <= c <= "~" for c in token_id)
    if len(token_id) > ID_CHARS_MAX or not visible or not tail or "/" in token_id or head.endswith("."):
        return "Invalid token contract ID format"
    return ""


def check(tokens: Sequence[Token], pools: Sequence[Pool]) -> None:
    """Refuse a graph that contradicts itself; GraphInvalid names the first faults."""
    faults = [*_token_faults(tokens), *_pool_faults({token.id for token in tokens}, pools)]
    if faults:
        more = f"; and {len(faults) - FAULTS_SAID_MAX} more" if len(faults) > FAULTS_SAID_MAX else ""
        raise GraphInvalid("; ".join(faults[:FAULTS_SAID_MAX]) + more)


def _token_faults(tokens: Sequence[Token]) -> Iterable[str]:
    seen: set[str] = set()
    for token in tokens:
        said = f"token {token.id[:80]!r}"
        if check_id(token.id):
            yield f"{said}: {check_id(token.id)}"
        if token.id in seen:
            yield f"{said} stands twice"
        seen.add(token.id)
        if not 0 <= token.decimals <= DECIMALS_MAX:
            yield f"{said}: decimals were {token.decimals}, they are 0 to {DECIMALS_MAX}"
        if not token.symbol:
            yield f"{said} has no symbol"
        if token.lp_supply < 0 or bool(token.lp_pool) != bool(token.lp_supply):
            yield f"{said}: a pool share needs its pool and a positive supply"


def _pool_faults(known: set[str], pools: Sequence[Pool]) -> Iterable[str]:
    seen: set[str] = set()
    for pool in pools:
        said = f"pool {pool.id[:80]!r}"
        if pool.id in seen:
            yield f"{said} stands twice"
        seen.add(pool.id)
        if not pool.id:
            yield "a pool has no id"
        for side in (pool.a, pool.b):
            if side not in known:
                yield f"{said}: its token {side[:80]!r} is not known"
        if pool.a == pool.b:
            yield f"{said} joins a token with itself"
        yield from _reserve_faults(said, pool)


def _reserve_faults(said: str, pool: Pool) -> Iterable[str]:
    for name, reserve in (("reserveA", pool.reserve_a), ("reserveB", pool.reserve_b)):
        if reserve < 0:
            yield f"{said}: {name} was {reserve}, a reserve is not negative"
        elif reserve > RESERVE_MAX:
            yield f"{said}: {name} is above 10^48"
    if not 0.0 <= pool.fee < 1.0:
        yield f"{said}: fee was {pool.fee}, it is a fraction from 0 to below 1"
    if pool.updated_ms < 0:
        yield f"{said}: lastUpdated was {pool.updated_ms}, it is Unix milliseconds"
