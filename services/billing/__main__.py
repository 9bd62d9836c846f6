"""``python -m services.billing``."""

from libs.common.service import main
from services.billing.config import BillingConfig
from services.billing.wiring import build

if __name__ == "__main__":
    main("billing", BillingConfig, build)
