"""The filters of signals in plain Python: every signal is looked at, nothing is indexed."""

from __future__ import annotations

from collections.abc import Sequence

from services.scanner.signals.shelf import Item, Page, Wanted


def find(items: Sequence[Item], wanted: Wanted, limit: int, offset: int) -> Page:
    """A page of positions, newest first."""
    found = [at for at, item in enumerate(items) if _matches(at, item, wanted)]
    found.sort(key=lambda at: (items[at].recorded_ms, items[at].id.int), reverse=True)
    return Page(found[offset : offset + limit], len(found))


def following(items: Sequence[Item], wanted: Wanted, limit: int) -> list[int]:
    """The first positions in the order of the record."""
    return [at for at, item in enumerate(items) if _matches(at, item, wanted)][:limit]


def _matches(at: int, item: Item, wanted: Wanted) -> bool:
    def part(needles: Sequence[str], names: Sequence[str]) -> bool:
        return not needles or any(needle in name.casefold() for needle in needles for name in names)

    return (
        part(wanted.chain, item.chains)
        and part(wanted.tag, item.tags)
        and wanted.search in item.title.replace("\n", " ").casefold()
        and (not wanted.narrative or bool(set(wanted.narrative) & set(item.narratives)))
        and (not wanted.trigger or bool(set(wanted.trigger) & set(item.triggers)))
        and wanted.cmc_id in (None, item.cmc_id)
        and wanted.symbol in ("", item.symbol.casefold())
        and wanted.timeframe_id in (None, item.timeframe_id)
        and (not wanted.sentiment or item.sentiment in wanted.sentiment)
        and (wanted.from_ms is None or item.recorded_ms >= wanted.from_ms)
        and (wanted.to_ms is None or item.recorded_ms <= wanted.to_ms)
        and item.confidence >= wanted.min_confidence
        and at > wanted.since
        and (item.told or not wanted.told)
    )
