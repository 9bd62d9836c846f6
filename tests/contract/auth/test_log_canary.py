"""Nothing secret is ever logged, whatever people do and however they fail."""

from __future__ import annotations

from pathlib import Path

from tests.contract.auth.people import ADMIN_PASSWORD, PASSWORD, Caller, Town, socket
from tests.house import House


async def test_nothing_secret_is_ever_logged(dsns: dict[str, str], nats_url: str, tmp_path: Path) -> None:
    house = House(dsns, nats_url, tmp_path)
    town = Town(house)
    try:
        await house.start("auth", "market", "trading", "gateway", LOG_LEVEL="DEBUG")
        user = await town.user()
        secrets = await everything_secret(town, user)
        logs = written(tmp_path)
    finally:
        await town.close()
        await house.stop()
    logs += written(tmp_path)
    assert '"request"' in logs, "debug lines are there"
    assert [secret for secret in secrets if secret in logs] == []


def written(folder: Path) -> str:
    """Everything the processes logged."""
    return "".join(path.read_text() for path in folder.glob("*.log"))


async def everything_secret(town: Town, user: Caller) -> list[str]:
    """Use every door and every wrong way in; what must never show."""
    wrong = "wrong canary horse"
    await town.stranger().call("POST", "/sign/in", {"login": user.login, "password": wrong})
    pair = await user.done("POST", "/sign/refresh", {"refresh_token": user.refresh_token})
    await user.call("POST", "/sign/refresh", {"refresh_token": user.refresh_token})
    again = await town.signed_in(user.login)
    stream_token = (await again.done("POST", "/stream/token"))["token"]
    async with socket(again, stream_token):
        pass
    customer = await town.customer(again)
    offer = await customer.done("GET", "/customer/auth/otp")
    await customer.call("PUT", "/customer/auth/otp", {"secret": offer["secret"], "code": "000000"})
    browser = await town.browser(again)
    key = await town.key(again, ["read"])
    await key.call("GET", f"/market?login={user.login}")
    await key.call("GET", f"/market?login={user.login}", headers={"Authorization": f"Bearer {key.token}x"})
    admin = await town.admin()
    await admin.done("PUT", "/account/password", {"login": user.login, "password": "canary by staff"})
    made = {"name": "S", "password": "canary of staff", "type": 1}
    await admin.done("POST", "/admin/staff", made)
    return [
        user.token,
        user.refresh_token,
        pair["__token"],
        pair["refresh_token"],
        again.token,
        stream_token,
        customer.token,
        offer["secret"],
        browser.cookie,
        key.token,
        key.token.removeprefix("tw_live_")[8:],
        admin.token,
        wrong,
        PASSWORD,
        ADMIN_PASSWORD,
        "canary by staff",
        "canary of staff",
    ]
