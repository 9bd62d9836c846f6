"""The rows of the scan surface as tools for agents: their names there, and what each is for."""

from __future__ import annotations

from services.gateway.endpoints.tool import Tool

_ALL = (
    Tool(name="scan", description="Scan one symbol for chart and candlestick patterns with levels."),
    Tool(name="patterns", description="List every known pattern.", open_world=False),
    Tool(
        name="search_records",
        description="Past detections with their outcomes, newest first; by symbol, timeframe,"
        " pattern, status, outcome, time.",
    ),
    Tool(
        name="get_record",
        description="One record with entry, stop, targets and what became of it, by its id or its"
        " detection's.",
    ),
    Tool(name="list_watchlists", description="The person's watchlists.", open_world=False),
    Tool(
        name="create_watchlist",
        description="Make a watchlist of symbols, or add one symbol alone to the default one.",
        open_world=False,
    ),
    Tool(
        name="remove_watchlist",
        description="Take a watchlist away by its id; a symbol instead of an id goes from the default one.",
        open_world=False,
    ),
    Tool(
        name="get_status",
        description="Whether the scanner works, and how an agent gets a key.",
        open_world=False,
    ),
    Tool(
        name="get_capabilities",
        description="What the scanner knows: markets, timeframes, patterns, indicators, conditions,"
        " the usage policy.",
        open_world=False,
    ),
    Tool(
        name="search_symbols",
        description="Find symbols by a part of their name or description.",
        open_world=False,
    ),
    Tool(
        name="resolve_symbol",
        description="The one symbol a text such as BTC or BTCUSDT means.",
        open_world=False,
    ),
    Tool(
        name="create_monitor",
        description="Watch for detections by symbol, pattern and timeframe; they come to the feed,"
        " and to channels if named.",
        open_world=False,
    ),
    Tool(name="list_monitors", description="The person's monitors.", open_world=False),
    Tool(
        name="delete_monitor",
        description="Take a monitor away; what it told stays in the feed.",
        open_world=False,
    ),
    Tool(name="list_feed", description="What the person's monitors heard, newest first, in pages."),
    Tool(name="ack_feed", description="Mark events of the feed as read.", open_world=False),
    Tool(
        name="get_usage",
        description="Scan quota, monitors, records and feed of the person: how much is used and left.",
        open_world=False,
    ),
    Tool(name="get_timezone", description="The person's time zone.", open_world=False),
    Tool(name="set_timezone", description="Change the person's time zone to an IANA name.", open_world=False),
    Tool(
        name="scan_contexts",
        description="The newest detections of a symbol and timeframe as contexts: each with chart,"
        " candles, manifest, conditions.",
    ),
    Tool(
        name="get_context", description="One context: the detection with entry, stop, targets and evidence."
    ),
    Tool(
        name="inspect_chart_context",
        description="Where a context's chart is and how large; its code is read from get_inspection_chart.",
    ),
    Tool(
        name="get_context_manifest",
        description="What a context is made of: rule, window, levels, regime, indicators, plan,"
        " evidence, charts.",
    ),
    Tool(name="get_context_ohlcv", description="The candles of a context's chart, or of the wider window."),
    Tool(
        name="check_context_condition",
        description="Whether a condition such as price_above_vwap holds at a context's last bar.",
        read_only=True,
    ),
    Tool(
        name="confirm_chart_visual_inspection",
        description="Confirm with the code on the inspection chart that it was looked at.",
        open_world=False,
    ),
    Tool(
        name="get_inspection_chart",
        description="The chart as a picture with a code to give to confirm_chart_visual_inspection.",
    ),
    Tool(name="get_chart", description="The chart as a picture: candles, levels, averages, the plan."),
    Tool(
        name="get_original_chart",
        description="The chart as a picture with the formation alone: no levels, averages and plan.",
    ),
)
TOOLS = {tool.name: tool for tool in _ALL}
