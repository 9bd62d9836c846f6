"""``python -m services.alerts``."""

from libs.common.partitions import PARTITIONS_MAX
from libs.common.service import main
from services.alerts.config import AlertsConfig
from services.alerts.wiring import build

if __name__ == "__main__":
    main("alerts", AlertsConfig, build, connections_max=8 + PARTITIONS_MAX)
