"""What auth reads from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from libs.common.config import ServiceConfig
from libs.common.errors import ConfigInvalid


class AuthConfig(ServiceConfig, frozen=True, kw_only=True):
    """Auth's part of the settings."""

    data_dir: str
    admin_password: str = ""
    secret_key: str = ""
    signup: str = "on"
    signup_groups: str = "demo"

    @property
    def sign_up_groups(self) -> tuple[str, ...]:
        """The groups a person may be put in by signing up; the first is the default."""
        return tuple(name.strip() for name in self.signup_groups.split(",") if name.strip()) or ("demo",)


def read_secret(config: AuthConfig, fresh: str) -> str:
    """The secret that seals what is kept: the setting, else ``secret.key`` in the data folder.

    A missing file is made with ``fresh``, readable by its owner only.
    """
    if config.secret_key:
        return config.secret_key
    path = Path(config.data_dir) / "secret.key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as e:
        raise ConfigInvalid(f"TRADEWIND_SECRET_KEY is missing and {path} can't be made: {e.strerror}") from e
    else:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(fresh + "\n")
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigInvalid(f"{path} can't be read: {e}") from e
