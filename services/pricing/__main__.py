"""``python -m services.pricing``"""

from libs.common.service import main
from services.pricing.config import PricingConfig
from services.pricing.wiring import build

if __name__ == "__main__":
    main("pricing", PricingConfig, build, connections_max=4)
