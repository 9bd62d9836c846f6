"""An OAuth client and a browser as strangers would write them."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.contract.auth.people import Answer, Caller

BACK = "https://app.example/back"
CSRF = re.compile(r'name="csrf" value="([^"]+)"')
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@dataclass
class Browser:
    """Somebody at a browser: keeps cookies, follows nothing by itself."""

    caller: Caller
    cookies: dict[str, str] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> Answer:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        more: dict[str, Any] = {"data": form} if form is not None else {}
        if form is not None:
            headers.setdefault("Origin", self.caller.url)
        answer = await self.caller.call(method, path, headers=headers, **more)
        for line in answer.headers.getall("Set-Cookie", []):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer

    async def sign_in(self, email: str, password: str, page: Answer) -> Answer:
        """Fill in the sign-in form of a page."""
        fields = fields_of(page, "/oauth/sign-in")
        return await self.call("POST", "/oauth/sign-in", {**fields, "email": email, "password": password})

    async def decide(self, page: Answer, decision: str = "allow", **changed: str) -> Answer:
        """Press a button of the consent page."""
        fields = fields_of(page, "/oauth/authorize")
        form = {**fields, "decision": decision} | changed
        return await self.call("POST", "/oauth/authorize", form)


def fields_of(page: Answer, action: str) -> dict[str, str]:
    """The hidden fields of the form that leads to ``action``."""
    text = page.body.decode()
    start = text.index(f'action="{action}"')
    found = HIDDEN.findall(text[start : text.index("</form>", start)])
    return {name: html.unescape(value) for name, value in found}


def query_of(answer: Answer) -> dict[str, str]:
    """What a redirect says."""
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


@dataclass
class App:
    """A client with its secret of this one request."""

    caller: Caller
    client_id: str = ""
    redirect_uri: str = BACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    async def register(self, *redirect_uris: str, **fields: Any) -> Answer:
        body = {"redirect_uris": list(redirect_uris) or [BACK], "client_name": "Claude", **fields}
        answer = await self.caller.call("POST", "/oauth/register", body)
        if answer.status == 201:
            self.client_id = answer.json["client_id"]
        return answer

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def address(self, **changed: str | None) -> str:
        """Where it sends the browser."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "a state",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **changed,
        }
        return f"/oauth/authorize?{urlencode({k: v for k, v in asked.items() if v is not None})}"

    async def exchange(self, given: str, **changed: str) -> Answer:
        form = {
            "grant_type": "authorization_code",
            "code": given,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": self.verifier,
            **changed,
        }
        return await self.caller.call("POST", "/oauth/token", data=form)
