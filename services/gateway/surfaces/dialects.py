"""Which dialect answers a path that matches no row, a wrong method, or a request refused before routing."""

from __future__ import annotations

from collections.abc import Mapping

from services.gateway.surfaces.analysis import AnalysisSurface, McpSurface
from services.gateway.surfaces.base import Surface
from services.gateway.surfaces.broker import AdminSurface, BrokerSurface, HouseSurface
from services.gateway.surfaces.oauth import OAuthSurface
from services.gateway.surfaces.prices import PricesSurface
from services.gateway.surfaces.scan import ScanSurface
from services.gateway.surfaces.signals import SignalsSurface

SURFACES: Mapping[str, Surface] = {
    surface.name: surface
    for surface in (
        BrokerSurface(),
        AdminSurface(),
        HouseSurface(),
        AnalysisSurface(),
        ScanSurface(),
        SignalsSurface(),
        PricesSurface(),
        OAuthSurface(),
        McpSurface(),
    )
}

# In this order; the first that fits. A trailing slash means the folder and its own name.
_PREFIXES = (
    ("/api/v1/prices", "prices"),
    ("/api/health", "prices"),
    ("/api/v1/", "scan"),
    ("/auth/", "scan"),
    ("/payments/", "scan"),
    ("/v1/", "analysis"),
    ("/mcp/", "mcp"),
    ("/oauth/", "analysis"),
    ("/.well-known/", "analysis"),
    ("/ai-signal/", "signals"),
)


def dialect_of(path: str) -> Surface:
    """The surface that answers for a path without a row."""
    folder = path if path.endswith("/") else path + "/"
    for prefix, name in _PREFIXES:
        if folder.startswith(prefix):
            return SURFACES[name]
    return SURFACES["broker"]
