"""``python -m services.auth``."""

from libs.common.service import main
from services.auth.config import AuthConfig
from services.auth.wiring import build

if __name__ == "__main__":
    main("auth", AuthConfig, build)
