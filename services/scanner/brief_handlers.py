"""What the analysis surface asks of scanner: one function per command."""

from __future__ import annotations

from typing import Any

from libs.common.bus import Call, Handler
from libs.common.messages import analysis as m
from libs.common.subjects import ANALOGS, BRIEF, CODEC_CANDLES, DELTA, MULTI, SCAN_TABLE, Command
from services.scanner.briefs import Briefs


def handlers_of(briefs: Briefs) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands of the analysis surface."""

    async def brief(message: m.BriefAsk, call: Call) -> m.Brief:
        return await briefs.brief(message)

    async def delta(message: m.DeltaAsk, call: Call) -> m.Delta:
        return await briefs.delta(message)

    async def candles(message: m.CandlesAsk, call: Call) -> m.Candles:
        return await briefs.candles(message)

    async def analogs(message: m.AnalogsAsk, call: Call) -> m.Analogs:
        return await briefs.analogs(message)

    async def multi(message: m.MultiAsk, call: Call) -> m.Multi:
        return await briefs.multi(message)

    async def table(message: m.ScanTableAsk, call: Call) -> m.ScanTable:
        return await briefs.table(message)

    return [
        (BRIEF, brief),
        (DELTA, delta),
        (CODEC_CANDLES, candles),
        (ANALOGS, analogs),
        (MULTI, multi),
        (SCAN_TABLE, table),
    ]
