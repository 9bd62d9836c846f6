"""The skill: an action by its name becomes the call of its row, with that row's checks, limits and answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from libs.common.service import VERSION
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.endpoints.scan_skill import SkillAction, SkillManifest, SkillRequest
from services.gateway.endpoints.tool import PREFIX
from services.gateway.errors import ActionNotFound
from services.gateway.keyed import HEADER, read_key
from services.gateway.mcp.calls import Perform, RowCall
from services.gateway.mcp.catalogue import KEY_ARGUMENT, tools_of
from services.gateway.surfaces.base import Reply

ENDPOINT = "/api/v1/skill"
_encode = msgspec.json.Encoder(order="deterministic").encode


class Skill:
    """The actions of the scan surface's rows."""

    def __init__(self, rows: Sequence[Endpoint]) -> None:
        of_scan = tools_of([row for row in rows if row.surface == "scan"])
        self._actions = {name.removeprefix(PREFIX): made for name, made in of_scan.items()}
        self._manifest = _encode(
            SkillManifest(
                name="tradewind",
                version=VERSION,
                description="Detections on market charts, their records, monitors and feed, for agents.",
                endpoint=ENDPOINT,
                actions=[
                    SkillAction(
                        action=action,
                        description=made.description,
                        operation=made.row.name,
                        input_schema=_input_schema(made.input_schema),
                        read_only=made.hints["readOnlyHint"],
                    )
                    for action, made in self._actions.items()
                ],
            )
        )

    async def manifest(self, asked: Any, caller: Caller) -> Reply:
        """What there is to do."""
        return Reply(200, self._manifest)

    async def act(self, asked: SkillRequest, caller: Caller, perform: Perform) -> Reply:
        """Do it; refusals of the row are raised."""
        made = self._actions.get(asked.action)
        if made is None:
            raise ActionNotFound(
                f"there is no action {asked.action!r}", allowed=sorted(self._actions), field="action"
            )
        key = caller.sent.headers.get(HEADER.lower()) if made.row.keyed else None
        fields = {**asked.input, **made.tool.fixed}
        key = None if key is None else read_key(key)
        return await perform(RowCall(made.row, _encode(fields), caller.principal, key, counted=True))


def _input_schema(schema: Any) -> dict[str, Any]:
    """Without the argument that stands for a header where there are no headers."""
    properties = {name: s for name, s in schema["properties"].items() if name != KEY_ARGUMENT}
    return {**schema, "properties": properties}
