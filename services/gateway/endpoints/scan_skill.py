"""The skill rows: every action of an agent on the scan surface at one address, by its name."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.gateway.endpoints.row import PUBLIC
from services.gateway.endpoints.scan_row import scan_row


class SkillRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Do ``action`` with ``input``, the fields of the operation behind it."""

    action: Annotated[str, Meta(min_length=1, max_length=64)]
    input: dict[str, Any] = {}


class SkillAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action: the operation behind it answers, with its checks, limits and price."""

    action: str
    description: str
    operation: str
    input_schema: dict[str, Any]
    read_only: bool


class SkillManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to do, and where."""

    name: str
    version: str
    description: str
    endpoint: str
    actions: list[SkillAction]


SKILL = (
    scan_row(
        "POST",
        "/skill",
        "Do an action by its name: the answer is that of the operation behind it",
        tags=("skill",),
        agents=True,
        local="skill",
        unkeyed=True,  # the key is that of the operation
        headers=("idempotency-key",),
        request=SkillRequest,
        response=dict[str, Any],
        errors=("action_not_found",),
    ),
    scan_row(
        "GET",
        "/skill/manifest.json",
        "Every action with the schema of its input",
        tags=("skill",),
        access=PUBLIC,
        local="skill_manifest",
        response=SkillManifest,
    ),
)
