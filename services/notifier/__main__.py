"""``python -m services.notifier``."""

from libs.common.service import main
from services.notifier.config import NotifierConfig
from services.notifier.wiring import build

if __name__ == "__main__":
    main("notifier", NotifierConfig, build)
