"""The broker surface and its admin part: ``{"error","message"}``, tokens raw, as Bearer or in a cookie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from libs.common.errors import AppError
from services.gateway.surfaces.base import NO_STORE, Surface
from services.gateway.surfaces.ret_codes import status_of


class BrokerError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call was refused: a public code and a sentence."""

    error: str
    message: str


class BrokerSurface(Surface):
    """What trading clients speak."""

    name: ClassVar[str] = "broker"
    headers: ClassVar[Mapping[str, str]] = NO_STORE
    raw_token: ClassVar[bool] = True
    cookie: ClassVar[str] = "tw_token"
    error_type: ClassVar[type[msgspec.Struct] | None] = BrokerError

    def render(self, error: AppError) -> tuple[int, dict[str, Any]]:
        return status_of(error.code, error.http_status), {"error": error.code, "message": str(error)}


class AdminSurface(BrokerSurface):
    """What operators speak: the broker's dialect, without its cookie, so that no page can act for them."""

    name: ClassVar[str] = "admin"
    cookie: ClassVar[str] = ""


class HouseSurface(BrokerSurface):
    """Health, documents and metrics: public, no dialect of their own."""

    name: ClassVar[str] = "house"
    headers: ClassVar[Mapping[str, str]] = {}
    cookie: ClassVar[str] = ""
