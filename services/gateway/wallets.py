"""Whose money a caller spends."""

from __future__ import annotations

from libs.common.principal import Principal


def wallet_of(principal: Principal) -> str:
    """Whose money a caller spends; "" for somebody who has none."""
    if principal.kind == "key" and principal.mode == "test":
        return f"test:{principal.jti}"
    if principal.person_id is not None:
        return f"person:{principal.person_id}"
    return f"key:{principal.jti}" if principal.kind == "key" else ""
