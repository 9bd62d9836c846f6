"""The tools of the scan surface have the names agents know."""

from __future__ import annotations

from services.gateway.endpoints import ENDPOINTS
from services.gateway.mcp.catalogue import tools_of

# What an agent does on the scan surface, by the names its clients know.
SCAN_ACTIONS = """
get_status get_capabilities search_symbols resolve_symbol scan_contexts inspect_chart_context get_context
get_context_manifest get_context_ohlcv get_chart confirm_chart_visual_inspection get_record search_records
check_context_condition get_timezone set_timezone create_watchlist list_watchlists remove_watchlist
create_monitor list_monitors pause_monitor resume_monitor delete_monitor list_feed ack_feed get_usage
"""


def test_every_action_of_the_scan_surface_is_a_tool() -> None:
    assert {f"tradewind_{action}" for action in SCAN_ACTIONS.split()} <= set(tools_of(ENDPOINTS))
