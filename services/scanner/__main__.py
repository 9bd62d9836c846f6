"""``python -m services.scanner``."""

from libs.common.service import main
from services.scanner.config import ScannerConfig
from services.scanner.wiring import build

if __name__ == "__main__":
    main("scanner", ScannerConfig, build)
