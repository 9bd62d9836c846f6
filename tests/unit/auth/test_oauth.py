"""What an OAuth client may be and ask, at its edges; PKCE beside the vector of RFC 7636, appendix B."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth import oauth
from services.auth.errors import BadClientMetadata, BadRedirectUri

BACK = "https://app.example/back"
OWN = "https://house.example/mcp"
DOCUMENT = "https://app.example/oauth/client.json"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def document(**changed: object) -> bytes:
    return json.dumps(
        {"client_id": DOCUMENT, "redirect_uris": [BACK], "client_name": "App"} | changed
    ).encode()


@pytest.mark.parametrize(
    "uri",
    [
        BACK,
        "https://app.example:8443/back?x=1&y=2",
        "http://localhost/cb",
        "http://127.0.0.1:9999/cb",
        "http://[::1]:1/cb",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "com.example.app:/oauth",
        "ab:/x",
    ],
)
def test_addresses_a_code_may_be_sent_to(uri: str) -> None:
    assert oauth.read_redirect_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "back",
        "/back",
        "//app.example/back",
        "http://app.example/back",
        "http://127.0.0.2/cb",
        "http://localhost.evil.example/cb",
        "https:///back",
        "https://app.example/back#",
        "https://app.example/back#part",
        "https://user@app.example/back",
        "https://user:word@app.example/back",
        "https://app.example/back\\@evil.example",
        "https://app.example/a b",
        "https://app.example;script-src/back",
        "https://app.example,b/back",
        "https://app.example'/back",
        "app://x;sandbox/back",
        "https://app.example/\n",
        "https://app.example/é",
        "https://app.example:99999/back",
        "https://[::1/back",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://app.example/x",
        "vbscript:x",
        "ws://localhost/x",
        "wss://app.example/x",
        "ftp://app.example/x",
        "about:blank",
        "x:/y",
        BACK + "/" + "x" * 2_000,
    ],
)
def test_addresses_no_code_is_sent_to(uri: str) -> None:
    with pytest.raises(BadRedirectUri):
        oauth.read_redirect_uri(uri)


def test_the_longest_address_and_the_most_of_them() -> None:
    longest = BACK + "x" * (oauth.URI_CHARS_MAX - len(BACK))
    assert oauth.read_redirect_uris([longest]) == (longest,)
    with pytest.raises(BadRedirectUri):
        oauth.read_redirect_uris([longest + "x"])
    many = [f"{BACK}/{n}" for n in range(oauth.REDIRECTS_MAX)]
    assert oauth.read_redirect_uris(many) == tuple(many)
    for wrong in ([], [*many, BACK]):
        with pytest.raises(BadRedirectUri):
            oauth.read_redirect_uris(wrong)
    assert oauth.read_redirect_uris([BACK, BACK]) == (BACK,)


@pytest.mark.parametrize(
    ("registered", "asked", "may"),
    [
        (BACK, BACK, True),
        (BACK, BACK + "/", False),
        (BACK, BACK + "?x=1", False),
        (BACK, "https://APP.example/back", False),
        (BACK, "https://app.example:444/back", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb", True),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", True),
        ("http://localhost:1/cb", "http://localhost/cb", True),
        ("http://127.0.0.1/cb", "http://localhost/cb", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1/other", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1/cb?x=1", False),
        ("http://127.0.0.1/cb", "http://me@127.0.0.1/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1/cb#x", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:x/cb", False),
        ("app:/cb", "app:/other", False),
        ("https://127.0.0.1/cb", "https://127.0.0.1:5/cb", False),
    ],
)
def test_a_code_goes_to_a_registered_address_only(registered: str, asked: str, may: bool) -> None:
    assert oauth.may_redirect([registered], asked) is may
    assert oauth.may_redirect([], asked) is False
    assert oauth.may_redirect(["https://other.example/x", registered], asked) is may


def test_the_vector_of_rfc_7636() -> None:
    assert oauth.answers(CHALLENGE, VERIFIER)
    assert oauth.is_challenge(CHALLENGE)


@given(st.text(string.ascii_letters + string.digits + "-._~", min_size=43, max_size=128))
def test_a_verifier_answers_its_own_challenge_and_no_other(verifier: str) -> None:
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert oauth.is_challenge(challenge)
    assert oauth.answers(challenge, verifier)
    assert not oauth.answers(CHALLENGE, verifier) or verifier == VERIFIER
    assert not oauth.answers(challenge, verifier[:-1] + ("a" if verifier[-1] != "a" else "b"))


@pytest.mark.parametrize(
    "verifier", ["", "a" * 42, "a" * 129, "a" * 43 + "+", "a" * 43 + "é", "a" * 42 + "\n"]
)
def test_what_is_no_verifier_answers_nothing(verifier: str) -> None:
    digest = hashlib.sha256(verifier.encode()).digest()
    assert not oauth.answers(base64.urlsafe_b64encode(digest).decode().rstrip("="), verifier)


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "+", "a" * 43 + "\n"])
def test_what_is_no_challenge(text: str) -> None:
    assert not oauth.is_challenge(text)


@pytest.mark.parametrize(
    ("scope", "read"),
    [
        (None, ("read",)),
        ("", ("read",)),
        ("read", ("read",)),
        ("trade", ("read", "trade")),
        ("trade scan read", ("read", "scan", "trade")),
        ("  scan  ", ("read", "scan")),
        ("admin", None),
        ("read admin", None),
        ("READ", None),
    ],
)
def test_scopes(scope: str | None, read: tuple[str, ...] | None) -> None:
    assert oauth.read_scopes(scope) == read


@pytest.mark.parametrize(
    ("asked", "counts_for"),
    [
        (OWN, OWN),
        (OWN + "/", OWN),
        ("HTTPS://House.Example/MCP", OWN),
        ("https://house.example", ""),
        ("https://house.example/", ""),
        ("https://house.example/other", None),
        ("http://house.example/mcp", None),
        ("https://evil.example/mcp", None),
        ("https://house.example.evil.example/mcp", None),
        ("", None),
    ],
)
def test_a_token_is_asked_for_us_or_for_nobody(asked: str, counts_for: str | None) -> None:
    assert oauth.read_resource(asked, OWN) == counts_for


def test_a_document_describes_the_client_whose_id_leads_to_it() -> None:
    client = oauth.read_document(DOCUMENT, document())
    assert client == oauth.Client(DOCUMENT, "App", (BACK,))
    assert client.publisher == "app.example"
    assert oauth.read_document(DOCUMENT, document(client_name="")).name == "app.example"
    assert oauth.is_document_id(DOCUMENT)
    assert not oauth.is_document_id("client_1")
    assert not oauth.is_document_id("http://app.example/client.json")


@pytest.mark.parametrize(
    ("client_id", "body"),
    [
        (DOCUMENT, b""),
        (DOCUMENT, b"\xff"),
        (DOCUMENT, b"[" * 100_000),
        (DOCUMENT, b"[]"),
        (DOCUMENT, document(client_id="https://evil.example/client.json")),
        (DOCUMENT, document(token_endpoint_auth_method="client_secret_post")),
        (DOCUMENT, document(redirect_uris="x")),
        ("https://app.example", document(client_id="https://app.example")),
        ("https://app.example/", document(client_id="https://app.example/")),
        (DOCUMENT + "#x", document(client_id=DOCUMENT + "#x")),
        ("https://me@app.example/c", document(client_id="https://me@app.example/c")),
        ("https://app.example/a/../c", document(client_id="https://app.example/a/../c")),
        ("https://app.example/./c", document(client_id="https://app.example/./c")),
        ("https://[::1/c", document(client_id="https://[::1/c")),
    ],
)
def test_other_documents_describe_nobody(client_id: str, body: bytes) -> None:
    with pytest.raises(BadClientMetadata):
        oauth.read_document(client_id, body)


def test_a_document_with_a_bad_address_is_refused_as_that() -> None:
    with pytest.raises(BadRedirectUri):
        oauth.read_document(DOCUMENT, document(redirect_uris=["http://app.example/back"]))


@given(st.text(max_size=200))
def test_a_clients_name_is_one_short_line(text: str) -> None:
    name = oauth.read_client_name(text, [BACK])
    assert 0 < len(name) <= oauth.NAME_CHARS_MAX
    assert name == " ".join(name.split())
    assert not any(ord(c) < 32 or c in "\u202e\u200b\ufeff\u2066" for c in name)


def test_a_client_without_a_name_is_called_by_its_host() -> None:
    assert oauth.read_client_name("", [BACK]) == "app.example"
    assert oauth.read_client_name("\u202e\n", [BACK]) == "app.example"
    assert oauth.read_client_name("  My\tApp  ", [BACK]) == "My App"
    assert oauth.read_client_name("", ["app:/cb"]) == "app:/cb"
    assert oauth.Client("client_1", "x", ("app:/cb",)).publisher == ""


def test_people_are_told_where_the_answer_goes() -> None:
    assert oauth.place_of(BACK) == "app.example"
    assert oauth.place_of("https://app.example:8443/back") == "app.example:8443"
    assert oauth.place_of("http://localhost:5/cb") == "an app on your own computer (localhost:5)"
    assert oauth.place_of("app:/cb") == "the app of app:"


def test_only_public_clients_with_codes_are_registered() -> None:
    oauth.check_registration("none", ["authorization_code", "refresh_token"], ["code"])
    for wrong in (
        ("client_secret_basic", ["authorization_code"], ["code"]),
        ("none", ["password"], ["code"]),
        ("none", [], ["code"]),
        ("none", ["authorization_code"], ["token"]),
        ("none", ["authorization_code"], []),
    ):
        with pytest.raises(BadClientMetadata):
            oauth.check_registration(*wrong)


def test_verifiers_are_told_apart() -> None:
    made = {secrets.token_urlsafe(48) for _ in range(5)}
    assert sum(oauth.answers(CHALLENGE, verifier) for verifier in made) == 0
