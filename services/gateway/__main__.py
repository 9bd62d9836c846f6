"""``python -m services.gateway``"""

from __future__ import annotations

from libs.common.service import main_stateless
from services.gateway.config import Config
from services.gateway.wiring import build

if __name__ == "__main__":
    main_stateless("gateway", Config, build)
