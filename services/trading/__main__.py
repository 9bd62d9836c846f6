"""``python -m services.trading``."""

from libs.common.service import main
from services.trading.config import TradingConfig
from services.trading.wiring import build

if __name__ == "__main__":
    main("trading", TradingConfig, build)
