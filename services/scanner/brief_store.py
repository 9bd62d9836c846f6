"""What the analysis keeps and reads: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from pathlib import Path

from libs.common.candles import BY_ID
from libs.common.db import Connection, load_queries
from services.scanner.delta import Seen
from services.scanner.experience import Occurrence
from services.scanner.patterns import NAMES

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

    async def places(self, connection: Connection) -> list[tuple[str, str, str]]:
        """(symbol, timeframe, trend) of every place whose bars are judged."""
        rows = await connection.fetch(QUERIES["judged_places"])
        return [(row["symbol"], BY_ID[row["timeframe"]].name, row["trend"]) for row in rows]

    async def occurrences(self, connection: Connection, symbol: str, timeframe_id: int) -> list[Occurrence]:
        """The formations of one place, as they became known."""
        rows = await connection.fetch(QUERIES["occurrences"], symbol, timeframe_id, list(NAMES))
        return [Occurrence(*row) for row in rows]
