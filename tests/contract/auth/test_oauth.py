"""OAuth 2.1 on running services: the way of a good client, and every way of a bad one."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import WSMsgType

from tests.conftest import PATIENCE_S
from tests.contract.auth.oauth_client import BACK, App, Browser, fields_of, query_of
from tests.contract.auth.people import PASSWORD, Town

CANDLES = "/quotes/candles?symbol=EURUSD&from=0&to=99&frame=1H"


async def app_of(town: Town) -> App:
    app = App(town.stranger())
    assert (await app.register()).status == 201
    return app


async def code_of(app: App, browser: Browser, **changed: str) -> str:
    page = await browser.call("GET", app.address(**changed))
    assert page.status == 200, page.body
    agreed = await browser.decide(page)
    assert agreed.status == 302, agreed.body
    return query_of(agreed)["code"]


# ── the good way ──


async def test_what_clients_discover_fits_together(town: Town) -> None:
    stranger = town.stranger()
    for path in ("", "/mcp"):
        resource = await stranger.done("GET", f"/.well-known/oauth-protected-resource{path}")
        assert resource["resource"] == f"{stranger.url}/mcp"
        assert resource["authorization_servers"] == [stranger.url]
        assert resource["bearer_methods_supported"] == ["header"]
    server = await stranger.done("GET", "/.well-known/oauth-authorization-server")
    assert server["issuer"] == stranger.url
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert server["response_types_supported"] == ["code"]
    assert server["grant_types_supported"] == ["authorization_code"]
    assert server["token_endpoint_auth_methods_supported"] == ["none"]
    for name in ("authorization", "token", "registration", "revocation"):
        path = urlsplit(server[f"{name}_endpoint"]).path
        assert (await stranger.call("PUT", path)).status == 404, "the route is there"


async def test_one_click_without_an_account_gives_a_free_key(town: Town) -> None:
    app, browser = await app_of(town), Browser(town.stranger())
    page = await browser.call("GET", app.address())
    text = page.body.decode()
    assert "Claude wants to connect" in text
    assert "app.example" in text
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Referrer-Policy"] == "same-origin", "or browsers send our forms as foreign ones"
    policy = page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example" in policy
    agreed = await browser.decide(page)
    assert agreed.headers["Location"].startswith(f"{BACK}?")
    said = query_of(agreed)
    assert (said["state"], said["iss"]) == ("a state", app.caller.url)
    given = await app.exchange(said["code"])
    assert given.status == 200, given.body
    assert given.headers["Cache-Control"] == "no-store"
    token = given.json
    assert token["token_type"] == "Bearer"
    assert token["scope"] == "read"
    assert token["access_token"].startswith("tw_live_")
    reader = town.stranger()
    reader.token = token["access_token"]
    assert (await reader.call("GET", CANDLES)).status == 200, "it is an API key"
    assert (await reader.call("GET", "/api/v1/keys")).status == 403
    assert (await reader.done("GET", "/v1/balance"))["balanceMicros"] == 50_000, "the starter credit"


async def test_a_signed_in_persons_grant_is_theirs_and_they_see_and_end_it(town: Town) -> None:
    user = await town.user()
    app, browser = await app_of(town), Browser(town.stranger())
    page = await browser.call("GET", app.address(scope="read trade"))
    assert b'value="allow"' not in page.body, "trade needs a person"
    wrong = await browser.sign_in(user.email, "no such password", page)
    assert wrong.status == 401
    assert b"That is not right" in wrong.body
    back = await browser.sign_in(user.email, PASSWORD, page)
    assert back.status == 303
    page = await browser.call("GET", back.headers["Location"])
    assert user.email in page.body.decode()
    assert b"<b>Trade</b>" in page.body
    given = await app.exchange(query_of(await browser.decide(page))["code"])
    assert given.json["scope"] == "read trade"
    holder = town.stranger()
    holder.token = given.json["access_token"]
    assert (await holder.call("GET", f"/market/short/list?login={user.login}")).status == 200

    grants = await browser.call("GET", "/oauth/grants")
    assert "Claude" in grants.body.decode()
    ended = await browser.call("POST", "/oauth/grants", fields_of(grants, "/oauth/grants"))
    assert ended.status == 303
    assert (await holder.call("GET", CANDLES)).status == 401
    assert "Claude" not in (await browser.call("GET", "/oauth/grants")).body.decode()


async def test_a_client_gives_its_token_back(town: Town) -> None:
    app, other = await app_of(town), await app_of(town)
    token = (await app.exchange(await code_of(app, Browser(town.stranger())))).json["access_token"]
    holder = town.stranger()
    holder.token = token
    for client, status in ((other, 200), (app, 401), (app, 401)):
        form = {"token": token, "client_id": client.client_id}
        assert (await app.caller.call("POST", "/oauth/revoke", data=form)).status == 200
        assert (await holder.call("GET", CANDLES)).status == status
    assert (await app.caller.call("POST", "/oauth/revoke", data={"token": "unknown"})).status == 200
    for form in ({}, {"token": ""}, {"client_id": app.client_id}):
        answer = await app.caller.call("POST", "/oauth/revoke", data=form)
        assert (answer.status, answer.code) == (400, "invalid_request")


async def test_a_token_for_our_mcp_address_counts_nowhere_else(town: Town) -> None:
    app = await app_of(town)
    url = app.caller.url
    code = await code_of(app, Browser(town.stranger()), resource=f"{url}/mcp")
    wrong = await app.exchange(code, resource="https://evil.example/mcp")
    assert (wrong.status, wrong.code) == (400, "invalid_target")
    token = (await app.exchange(code, resource=f"{url}/mcp")).json["access_token"]
    holder = town.stranger()
    holder.token = token
    assert (await holder.call("GET", CANDLES)).status == 401
    async with holder.session.ws_connect(url + "/ws") as ws:
        await ws.send_json({"authorization": token})
        assert (await ws.receive_json())["error"] == "INVALID_TOKEN"


async def test_on_this_machine_the_port_may_be_another_one(town: Town) -> None:
    app = App(town.stranger())
    await app.register("http://127.0.0.1:1111/cb", "myapp.example:/back")
    for uri in ("http://127.0.0.1:54321/cb", "myapp.example:/back"):
        app.redirect_uri = uri
        code = await code_of(app, Browser(town.stranger()))
        assert (await app.exchange(code)).status == 200


# ── registration ──


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://app.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://app.example/back#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://me@app.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"https://app.example/{n}" for n in range(11)]}, "invalid_redirect_uri"),
        (
            {"redirect_uris": [BACK], "token_endpoint_auth_method": "client_secret_basic"},
            "invalid_client_metadata",
        ),
        ({"redirect_uris": [BACK], "grant_types": ["password"]}, "invalid_client_metadata"),
        ({"redirect_uris": [BACK], "response_types": ["token"]}, "invalid_client_metadata"),
        ({"redirect_uris": "text"}, "invalid_request"),
        ({"redirect_uris": [1]}, "invalid_request"),
    ],
)
async def test_a_bad_client_is_not_registered(town: Town, fields: dict[str, Any], code: str) -> None:
    answer = await town.stranger().call("POST", "/oauth/register", fields)
    assert (answer.status, answer.code) == (400, code), answer.body
    assert list(answer.json) == ["error", "error_description"]


async def test_registrations_are_counted_by_address(town: Town) -> None:
    app = App(town.stranger())
    statuses = [(await app.register()).status for _ in range(31)]
    assert statuses == [201] * 30 + [429]
    assert (await App(town.stranger()).register()).status == 201


# ── asking ──


async def test_who_is_not_known_is_answered_on_a_page_and_never_sent_anywhere(town: Town) -> None:
    app, browser = await app_of(town), Browser(town.stranger())
    for changed in (
        {"client_id": "client_unknown"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/back"},
        {"redirect_uri": f"{BACK}/more"},
        {"redirect_uri": f"{BACK}?more=1"},
        {"redirect_uri": None},
        {"client_id": "https://127.0.0.1/client.json"},
        {"client_id": "https://no-such-host.invalid/client.json"},
    ):
        answer = await browser.call("GET", app.address(**changed))
        assert answer.status == 400, changed
        assert "Location" not in answer.headers
        assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "read admin"}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    ],
)
async def test_other_errors_go_to_the_client(town: Town, changed: dict[str, Any], error: str) -> None:
    app = await app_of(town)
    answer = await Browser(town.stranger()).call("GET", app.address(**changed))
    assert answer.status == 302
    assert answer.headers["Location"].startswith(f"{BACK}?")
    said = query_of(answer)
    assert (said["error"], said["state"], said["iss"]) == (error, "a state", app.caller.url)
    assert "code" not in said


async def test_cancelling_is_told_to_the_client(town: Town) -> None:
    app, browser = await app_of(town), Browser(town.stranger())
    page = await browser.call("GET", app.address())
    said = query_of(await browser.decide(page, "deny"))
    assert said["error"] == "access_denied"


async def test_nobody_else_presses_the_button(town: Town) -> None:
    app, browser = await app_of(town), Browser(town.stranger())
    page = await browser.call("GET", app.address())
    fields = {**fields_of(page, "/oauth/authorize"), "decision": "allow"}
    cases = [
        ({**fields, "csrf": "a" * 32}, {}),
        ({k: v for k, v in fields.items() if k != "csrf"}, {}),
        (fields, {"Origin": "https://evil.example"}),
        (fields, {"Origin": "null"}),
    ]
    for form, headers in cases:
        answer = await browser.call("POST", "/oauth/authorize", form, **headers)
        assert answer.status == 400
        assert "Location" not in answer.headers
    stranger = Browser(town.stranger())
    assert (await stranger.call("POST", "/oauth/authorize", fields)).status == 400, "another browser"
    foreign = await browser.decide(page, redirect_uri="https://evil.example/back")
    assert foreign.status == 400, "what the page hid is looked at again"


async def test_people_are_told_where_this_answer_goes_and_not_another_one(town: Town) -> None:
    app = App(town.stranger())
    await app.register("https://claude.example/back", "https://evil.example/back", "http://localhost/cb")
    for uri, place in (
        ("https://evil.example/back", "evil.example"),
        ("http://localhost:7777/cb", "an app on your own computer (localhost:7777)"),
    ):
        app.redirect_uri = uri
        text = (await Browser(town.stranger()).call("GET", app.address())).body.decode()
        assert f"The answer goes to <b>{place}</b>. The name is what the app calls itself." in text
        assert "claude.example" not in text


async def test_forms_that_no_page_of_ours_made_are_refused_plainly(town: Town) -> None:
    app, browser = await app_of(town), Browser(town.stranger())
    page = await browser.call("GET", app.address())
    long = await browser.decide(page, state="x" * 4_001)
    assert (long.status, long.code) == (400, "invalid_request")
    for back in (
        "https://evil.example/",
        "//evil.example/oauth/grants",
        "/oauth/authorize/../../x",
        "/oauth/grants?x=\r\nSet-Cookie: session=x",
        "/oauth/grants?x=é",
        f"/oauth/authorize?state={'x' * 4_001}",
    ):
        fields = fields_of(page, "/oauth/sign-in") | {"back": back, "email": "a@b.example", "password": "x"}
        answer = await browser.call("POST", "/oauth/sign-in", fields)
        assert answer.status == 400, back
        assert "Location" not in answer.headers
        assert "session" not in browser.cookies


@pytest.mark.parametrize("end", ["client", "person", "theft"])
async def test_the_end_of_a_grant_reaches_open_streams(town: Town, end: str) -> None:
    user = await town.user()
    app, browser = await app_of(town), Browser(town.stranger())
    browser.cookies["session"] = (await town.browser(user)).cookie
    code = await code_of(app, browser)
    token = (await app.exchange(code)).json["access_token"]
    async with user.session.ws_connect(user.url + "/ws") as ws:
        await ws.send_json({"authorization": token})
        assert (await ws.receive_json())["success"] is True
        if end == "client":
            await app.caller.call("POST", "/oauth/revoke", data={"token": token})
        elif end == "person":
            grants = await browser.call("GET", "/oauth/grants")
            await browser.call("POST", "/oauth/grants", fields_of(grants, "/oauth/grants"))
        else:
            assert (await app.exchange(code)).code == "invalid_grant"
        async with asyncio.timeout(PATIENCE_S):
            while (message := await ws.receive()).type is WSMsgType.TEXT:
                pass
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4401)


async def test_a_script_in_a_clients_name_is_text(town: Town) -> None:
    app = App(town.stranger())
    await app.register(client_name="<script>alert(1)</script>\u202eevil")
    page = await Browser(town.stranger()).call("GET", app.address(state='"><script>x</script>'))
    assert b"<script" not in page.body
    assert "\u202e" not in page.body.decode()


async def test_a_free_person_is_not_given_a_scope_of_another_tier(town: Town) -> None:
    user = await town.user()
    app, browser = await app_of(town), Browser(town.stranger())
    browser.cookies["session"] = (await town.browser(user)).cookie
    given = await app.exchange(await code_of(app, browser, scope="read scan"))
    assert given.json["scope"] == "read"


# ── exchanging ──


async def test_a_code_is_for_the_one_who_asked(town: Town) -> None:
    app, other = await app_of(town), await app_of(town)
    code = await code_of(app, Browser(town.stranger()))
    for changed in (
        {"code_verifier": "w" * 43},
        {"code_verifier": app.challenge},
        {"client_id": other.client_id},
        {"redirect_uri": "https://app.example/other"},
        {"code": "code_unknown"},
    ):
        answer = await app.exchange(code, **changed)
        assert (answer.status, answer.code) == (400, "invalid_grant"), changed
    for changed, error in (
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
    ):
        answer = await app.exchange(code, **changed)
        assert (answer.status, answer.code) == (400, error)
    assert (await app.exchange(code)).status == 200


async def test_using_a_code_twice_ends_the_grant(town: Town) -> None:
    app = await app_of(town)
    code = await code_of(app, Browser(town.stranger()))
    holder = town.stranger()
    holder.token = (await app.exchange(code)).json["access_token"]
    assert (await holder.call("GET", CANDLES)).status == 200
    again = await app.exchange(code)
    assert (again.status, again.code) == (400, "invalid_grant")
    assert (await holder.call("GET", CANDLES)).status == 401


async def test_a_body_that_is_no_form_is_refused(town: Town) -> None:
    caller = town.stranger()
    for body in (b"{}", b"a=1&a=2", b"\xff\xfe", b"code=%00", json.dumps({"code": "x"}).encode()):
        answer = await caller.call("POST", "/oauth/token", data=body)
        assert (answer.status, answer.code) == (400, "invalid_request"), body
    answer = await caller.call("POST", "/oauth/token", data=b"x" * 40_000)
    assert answer.status == 413
