"""What clients are shown of a board: the structs of the prices contract. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import UNSET, Raw, UnsetType

from libs.common.messages import pricing as m
from services.pricing import impact, liquidity, spread, stablecoins
from services.pricing.board import Board
from services.pricing.confidence import band, freshness
from services.pricing.pricer import FoundPath

STALE_MS = 300_000
EXPLAINED_MAX = 200
FORMULA = (
    "usdPrice = Σ(weight·ratio)/Σweight · btcPrice over paths within 50 % of the median;"
    " confidence = (0.4·consistency + 0.4·liquidity + 0.2·pathCount) · btcConfidence · freshness"
)


def token_price(board: Board, number: int, *, whole: bool) -> m.TokenPrice:
    """A token's price; ``whole`` adds the pools of the primary path."""
    graph, reading = board.graph, board.reading
    token = graph.tokens[number]
    share = board.shares.get(number)
    stable = number in board.held
    fixed = stable or number == graph.anchor
    paths = [] if fixed else board.pricer.best(number)
    kept = [path for path in paths if path.kept]
    primary = max(kept, key=lambda path: path.weight, default=None)
    others = sorted((path for path in kept if path is not primary), key=lambda path: -path.weight)
    others = others[: board.rules.alternatives_max]
    usd, ratio = float(board.usd[number]), float(board.ratio[number])
    price = reading.price if reading else 0.0
    market = board.market_price(number) if number in board.stables or share else None
    low, high = _band(kept, price, usd)
    method: str | UnsetType = "stablecoin_override" if stable else "lp_intrinsic" if share else UNSET
    return m.TokenPrice(
        token_id=token.id,
        symbol=token.symbol,
        name=token.name,
        decimals=token.decimals,
        image=token.image or UNSET,
        description=token.description or UNSET,
        usd_price=usd,
        sbtc_ratio=ratio,
        confidence=float(board.confidence[number]),
        last_updated=board.at_ms,
        total_liquidity=board.total_liquidity(number),
        calculation_details=m.Calculation(
            btc_price=price,
            paths_used=0 if fixed else int(board.pricer.kept[number]),
            price_variation=0.0 if fixed else float(board.pricer.variation[number]),
            method=method,
        ),
        primary_path=None if primary is None else _path(board, primary, whole=whole),
        alternative_paths=[_path(board, path, whole=False) for path in others] if others else UNSET,
        alternative_path_count=len(others),
        anchor_ratio=ratio,
        confidence_band=band(float(board.confidence[number])),
        price_low=low,
        price_high=high,
        freshness=_freshness(board, kept),
        twap=_twap(board, number, usd),
        depth2_pct=_depth(board, number),
        market_price=market[0] if market else UNSET,
        peg_deviation_pct=_peg(board, number, market),
        tags=["depeg"] if number in board.stables and not stable else UNSET,
        is_lp_token=True if share else UNSET,
        intrinsic_value=share.intrinsic if share else UNSET,
        price_deviation=share.deviation_pct if share and share.deviation_pct is not None else UNSET,
        is_arbitrage_opportunity=share.is_arbitrage if share else UNSET,
        nest_level=share.level if share else UNSET,
    )


def _peg(board: Board, number: int, market: tuple[float, float] | None) -> float | UnsetType:
    if market is None or number not in board.stables:
        return UNSET
    return stablecoins.deviation_pct(market[0])


def _band(kept: Sequence[FoundPath], anchor_usd: float, usd: float) -> tuple[float, float]:
    if not kept:
        return usd, usd
    low, high = spread.quartiles([(path.ratio, path.weight) for path in kept])
    return low * anchor_usd, high * anchor_usd


def _freshness(board: Board, kept: Sequence[FoundPath]) -> m.Freshness:
    oldest = max((path.oldest_ms for path in kept), default=0.0)
    carried = board.reading is not None and board.reading.backup
    return m.Freshness(oldest_reserve_age_ms=int(oldest), stale=oldest > STALE_MS, carried_forward=carried)


def _twap(board: Board, number: int, usd: float) -> m.Twap | UnsetType:
    mean = float(board.twap[number])
    if not mean > 0:
        return UNSET
    off = (usd / mean - 1.0) * 100.0
    return m.Twap(usd_price=mean, deviation_pct=off, guarded=bool(board.guarded[number]))


def _depth(board: Board, number: int) -> m.Depth | UnsetType:
    graph, up, down = board.graph, 0.0, 0.0
    for pool in graph.touching[number]:
        a, b = int(graph.a[pool]), int(graph.b[pool])
        ua, ub = graph.ua_list[pool] * board.usd[a], graph.ub_list[pool] * board.usd[b]
        own, other = (ua, ub) if a == number else (ub, ua)
        add_up, add_down = impact.usd_to_move(float(own), float(other))
        up, down = up + add_up, down + add_down
    return m.Depth(usd_up=up, usd_down=down) if up > 0 or down > 0 else UNSET


def _path(board: Board, path: FoundPath, *, whole: bool) -> m.Path:
    tokens = board.graph.tokens
    return m.Path(
        tokens=[tokens[number].id for number in path.tokens],
        pools=[pool_view(board, pool) for pool in path.pools] if whole else UNSET,
        pool_count=len(path.edges),
        total_liquidity=path.liquidity,
        reliability=path.reliability,
        confidence=path.confidence,
        path_length=len(path.tokens),
    )


def pool_view(board: Board, pool: int) -> m.PoolView:
    """A pool as clients see it."""
    found = board.graph.pools[pool]
    return m.PoolView(
        pool_id=found.id,
        token_a=found.a,
        token_b=found.b,
        reserve_a=_whole(found.reserve_a),
        reserve_b=_whole(found.reserve_b),
        fee=found.fee,
        last_updated=found.updated_ms,
    )


def _whole(value: int) -> int | Raw:
    """A number of any size as JSON."""
    return value if value < 2**63 else Raw(str(value).encode())


def graph_stats(board: Board, now_ms: int) -> m.GraphStats:
    """The graph in numbers."""
    graph = board.graph
    tokens, pools = len(board.listed), len(graph.pools)
    deep = graph.liquidity[:-1]
    return m.GraphStats(
        total_nodes=tokens,
        total_edges=pools,
        average_liquidity=float(deep.mean()) if pools else 0.0,
        last_update=board.at_ms,
        total_tokens=tokens,
        total_pools=pools,
        avg_pools_per_token=round(pools / tokens, 2) if tokens else 0.0,
        sbtc_pair_count=len(graph.touching[graph.anchor]),
        global_max_liquidity=float(deep.max()) if pools else 0.0,
        last_updated=board.at_ms,
        age_ms=max(0, now_ms - board.at_ms),
    )


def chosen(board: Board, ask: m.PriceListAsk) -> list[int]:
    """The tokens a list shows before its page is cut: of these symbols or ids, sure enough, ordered."""
    found = board.priced()
    tokens = board.graph.tokens
    symbols = {part.strip().casefold() for part in ask.symbols.split(",") if part.strip()}
    if symbols:
        found = [number for number in found if tokens[number].symbol.casefold() in symbols]
    if ask.ids:
        wanted = set(ask.ids)
        found = [number for number in found if tokens[number].id in wanted]
    return [number for number in found if board.confidence[number] >= ask.min_confidence]


def liquidity_view(board: Board, number: int) -> m.LiquidityView:
    """How a token's liquidity is spread."""
    graph = board.graph
    found = liquidity.analyse(
        [
            liquidity.PoolPart(pool, float(graph.liquidity[pool]), float(graph.age_ms[pool]))
            for pool in graph.touching[number]
        ]
    )
    return m.LiquidityView(
        total_liquidity=found.total,
        hhi=found.hhi,
        concentrated=found.concentrated,
        diversified=found.diversified,
        pools=[
            m.PoolShare(
                pool_id=graph.pools[part.pool].id,
                other_token=graph.tokens[int(graph.a[part.pool] + graph.b[part.pool] - number)].id,
                liquidity=part.liquidity,
                share=part.share,
                risk=part.risk,
                warnings=part.warnings,
            )
            for part in found.parts
        ],
    )


def explanation(board: Board, number: int) -> m.Explanation:
    """Every path of a token with what it counted, and the parts of its confidence."""
    graph, pricer, rules = board.graph, board.pricer, board.rules
    price = board.reading.price if board.reading else 0.0
    sure = board.reading.confidence if board.reading else 0.0
    paths, total = pricer.all_paths(number, EXPLAINED_MAX) if number != graph.anchor else ([], 0)
    kept = [path for path in paths if path.kept]
    best = sorted(path.ratio for path in paths[: rules.paths_max])
    oldest = np.array([max((path.oldest_ms for path in kept), default=0.0)])
    return m.Explanation(
        paths_found=total,
        paths=[
            m.PathWeighed(
                tokens=[graph.tokens[step].id for step in path.tokens],
                pool_ids=[graph.pools[pool].id for pool in path.pools],
                ratio=path.ratio,
                usd_price=path.ratio * price,
                weight=path.weight,
                reliability=path.reliability,
                confidence=path.confidence,
                total_liquidity=path.liquidity,
                min_liquidity=path.depth,
                age_ms=path.age_ms,
                dropped=_why(rank, path, rules.paths_max),
            )
            for rank, path in enumerate(paths)
        ],
        median=best[len(best) // 2] if best else 0.0,
        consistency=max(0.0, 1.0 - float(pricer.variation[number])),
        liquidity=min(1.0, sum(path.liquidity for path in kept) / rules.liquid_usd),
        path_count=min(1.0, len(kept) / rules.paths_enough),
        btc_confidence=sure,
        freshness=float(freshness(rules, oldest)[0]),
        formula=FORMULA,
    )


def _why(rank: int, path: FoundPath, most: int) -> str | None:
    if path.kept:
        return None
    return "outlier: more than 50 % off the median" if rank < most else f"rank: not among the best {most}"


def quote(board: Board, number: int, ask: m.TokenQuoteAsk) -> m.TokenQuote | None:
    """What a trade of this size would get along the kept paths; None without a path."""
    reading = board.reading
    paths = [path for path in board.pricer.best(number) if path.kept] if number != board.graph.anchor else []
    if not paths or reading is None:
        return None
    selling = ask.side == "sell"
    spot = float(board.pricer.ratio[number]) * reading.price
    routes = [_route(board, path, selling) for path in paths]
    given = ask.size_usd / (spot if selling else reading.price)
    filled = impact.fill(routes, given)
    tokens, usd = (given, filled.amount_out * reading.price) if selling else (filled.amount_out, ask.size_usd)
    average = usd / tokens
    worse = (spot - average) / spot if selling else (average - spot) / spot
    return m.TokenQuote(
        token_id=ask.token_id,
        side=ask.side,
        size_usd=ask.size_usd,
        tokens=tokens,
        average_price=average,
        spot_price=spot,
        impact_pct=worse * 100.0,
        legs=[
            m.Leg(
                share=count / sum(filled.slices),
                pool_ids=[board.graph.pools[hop.pool].id for hop in route],
                tokens=[board.graph.tokens[step].id for step in path.tokens][:: 1 if selling else -1],
            )
            for route, path, count in zip(routes, paths, filled.slices, strict=True)
            if count
        ],
    )


def _route(board: Board, path: FoundPath, selling: bool) -> list[impact.Hop]:
    graph = board.graph
    hops = []
    for edge in path.edges if selling else path.edges[::-1]:
        pool, back = edge >> 1, bool(edge & 1) == selling
        ends = graph.ua_list[pool], graph.ub_list[pool]
        reserve_in, reserve_out = ends[::-1] if back else ends
        hops.append(impact.Hop(pool, reserve_in, reserve_out, graph.pools[pool].fee, not back))
    return hops


def frames_of(board: Board, numbers: Sequence[int]) -> Mapping[str, tuple[str, float, float]]:
    """Token id → symbol, price and confidence, for the stream."""
    return {
        board.graph.tokens[n].id: (
            board.graph.tokens[n].symbol,
            float(board.usd[n]),
            float(board.confidence[n]),
        )
        for n in numbers
    }
