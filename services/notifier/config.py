"""What the notifier reads from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from libs.common.config import ServiceConfig
from libs.common.errors import ConfigInvalid

KEY_FILE = "notifier.key"


class NotifierConfig(ServiceConfig, frozen=True, kw_only=True):
    """The notifier's part of the settings."""

    data_dir: str
    smtp_url: str = ""
    mail_from: str
    telegram_bot_token: str = ""
    telegram_api_url: str
    discord_api_url: str
    slack_api_url: str
    x_api_url: str
    x_credentials: str = ""
    ntfy_url: str
    apprise_schemes: str = ""
    notify_key: str = ""
    notify_allow_private: str = "off"

    @property
    def allows_private(self) -> bool:
        """For tests only: webhooks may reach private addresses."""
        if self.notify_allow_private not in ("on", "off"):
            raise ConfigInvalid("TRADEWIND_NOTIFY_ALLOW_PRIVATE can't be used: it is on or off")
        return self.notify_allow_private == "on"


def read_key(config: NotifierConfig, fresh: str) -> str:
    """The key that seals what is kept: the setting, else a file in the data folder.

    A missing file is made with ``fresh``, readable by its owner only.
    """
    if config.notify_key:
        return config.notify_key
    path = Path(config.data_dir) / KEY_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as e:
        raise ConfigInvalid(f"TRADEWIND_NOTIFY_KEY is missing and {path} can't be made: {e.strerror}") from e
    else:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(fresh + "\n")
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigInvalid(f"{path} can't be read: {e}") from e
