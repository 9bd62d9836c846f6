"""What holders of keys saw last: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from pathlib import Path

from libs.common.db import Connection, load_queries
from services.scanner.delta import Seen

QUERIES = load_queries(Path(__file__).parent / "sql/briefs.sql")


class BriefStore:
    """See the module's text."""

    async def look(
        self, connection: Connection, holder: str, symbol: str, timeframe: str, now: Seen, now_ms: int
    ) -> Seen | None:
        """Remember what a holder sees; what it saw before, None at the first look."""
        row = await connection.fetchrow(
            QUERIES["look"],
            holder,
            symbol,
            timeframe,
            now.trend,
            now.rsi_state,
            list(now.patterns),
            now_ms,
        )
        return Seen(row["trend"], row["rsi_state"], tuple(row["patterns"])) if row is not None else None
