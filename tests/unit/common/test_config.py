"""Settings from the environment and from files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from libs.common.config import load
from libs.common.errors import ConfigInvalid


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    nats_url: str
    secret_key: str = ""
    feed: str = ""


def test_secrets_and_addresses_may_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("nats://a:b@h:4222\n")
    (tmp_path / "key").write_text("  very secret\n")
    environ = {"NATS_URL_FILE": str(tmp_path / "url"), "TRADEWIND_SECRET_KEY_FILE": str(tmp_path / "key")}
    assert load(_Sealed, environ) == _Sealed(
        nats_url="nats://a:b@h:4222", secret_key="very secret", feed="synthetic"
    )
    given = {**environ, "TRADEWIND_SECRET_KEY": "of the environment"}
    assert load(_Sealed, given).secret_key == "of the environment"
    with pytest.raises(ConfigInvalid, match="TRADEWIND_SECRET_KEY_FILE /nowhere can't be read"):
        load(_Sealed, {**environ, "TRADEWIND_SECRET_KEY_FILE": "/nowhere"})
    with pytest.raises(ConfigInvalid, match="TRADEWIND_FEED_FILE is not a setting"):
        load(_Sealed, {**environ, "TRADEWIND_FEED_FILE": str(tmp_path / "key")})
