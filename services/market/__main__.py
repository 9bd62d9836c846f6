"""``python -m services.market``"""

from libs.common.service import main
from services.market.config import Config
from services.market.wiring import build

if __name__ == "__main__":
    main("market", Config, build)
