"""OAuth 2.1: what a client may be, what it may ask for, and when a code becomes a token. Pure.

RFC 7591 (registration), RFC 8252 (native apps), RFC 7636 (PKCE, S256 only), RFC 8707 (resource indicators),
draft-ietf-oauth-client-id-metadata-document (a client's id is the URL of its metadata).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from services.auth.errors import BadClientMetadata, BadRedirectUri

PUBLIC: Final = "none"  # a client without a secret of its own
SCOPES: Final = ("read", "scan", "trade")  # what may be asked for; keys are managed by their person only
PERSON_SCOPES: Final = frozenset({"scan", "trade"})
CODE_MS: Final = 5 * 60_000
CLIENT_UNUSED_MS: Final = 7 * 24 * 3_600_000
REDIRECTS_MAX: Final = 10
URI_CHARS_MAX: Final = 2_000
NAME_CHARS_MAX: Final = 80
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# What a browser runs or opens by itself is no app of somebody's.
_NO_APPS: Final = frozenset(
    {"about", "blob", "chrome", "data", "file", "filesystem", "ftp", "intent", "jar", "javascript"}
    | {"mailto", "view-source", "vbscript", "ws", "wss"}
)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{1,49}")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_NETLOC: Final = re.compile(r"[A-Za-z0-9._:\[\]-]*")
_NO_NAME: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: by registration, or by the document its id leads to."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    registered_ms: int = 0

    @property
    def publisher(self) -> str:
        """The host its metadata was had from; "" for one that registered itself."""
        return urlsplit(self.client_id).netloc if is_document_id(self.client_id) else ""


@dataclass(frozen=True, slots=True)
class HeldCode:
    """A code as it is kept."""

    client_id: str
    client_name: str
    redirect_uri: str
    challenge: str
    resource: str
    scopes: tuple[str, ...]
    person_id: int | None
    address: str
    expires_ms: int
    key_id: str  # the grant it became; "" while it was not used


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a client's metadata document."""

    client_id: str
    redirect_uris: list[str]
    client_name: str = ""
    token_endpoint_auth_method: str = "none"  # noqa: S105


_document = msgspec.json.Decoder(Document)


def read_redirect_uri(text: str) -> str:
    """An address a code may be sent to: https, http on this machine, or an app's own scheme."""
    if not _PRINTABLE.fullmatch(text) or len(text) > URI_CHARS_MAX or "\\" in text:
        raise BadRedirectUri("a redirect_uri is an absolute address")
    parts = _split(text)
    if parts is None or "#" in text or "@" in parts.netloc:
        raise BadRedirectUri("a redirect_uri has neither fragment nor user")
    if not _NETLOC.fullmatch(parts.netloc):  # it is shown, and stands in a header of the consent page
        raise BadRedirectUri("a redirect_uri has a host as it stands in the DNS")
    if parts.scheme == "https" and parts.hostname:
        return text
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return text
    if parts.scheme not in _NO_APPS | {"http", "https"} and _SCHEME.fullmatch(parts.scheme):
        return text
    raise BadRedirectUri("a redirect_uri is https, http on this machine, or an app's own scheme")


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def place_of(redirect_uri: str) -> str:
    """Where an answer goes, which is all that is certain of who gets it: neither what a client calls itself
    nor its other addresses say that."""
    parts = urlsplit(redirect_uri)
    if parts.scheme == "http":
        return f"an app on your own computer ({parts.netloc})"
    return parts.netloc if parts.scheme == "https" else f"the app of {parts.scheme}:"


def read_redirect_uris(given: Sequence[str]) -> tuple[str, ...]:
    """The redirect URIs of a client."""
    if not 1 <= len(given) <= REDIRECTS_MAX:
        raise BadRedirectUri(f"1 to {REDIRECTS_MAX} redirect_uris are needed")
    return tuple(dict.fromkeys(read_redirect_uri(text) for text in given))


def read_client_name(text: str, redirect_uris: Sequence[str]) -> str:
    """What the client calls itself, in one line; else the host its answers go to."""
    name = " ".join(_NO_NAME.sub(" ", text).split())[:NAME_CHARS_MAX]
    return name or urlsplit(redirect_uris[0]).netloc or redirect_uris[0][:NAME_CHARS_MAX]


def check_registration(method: str, grants: Sequence[str], responses: Sequence[str]) -> None:
    """We know public clients with codes; BadClientMetadata for one that can't be that."""
    if method != PUBLIC:
        raise BadClientMetadata("token_endpoint_auth_method is none: clients are public, codes have PKCE")
    if "authorization_code" not in grants:
        raise BadClientMetadata("grant_types holds authorization_code")
    if "code" not in responses:
        raise BadClientMetadata("response_types holds code")


def is_document_id(client_id: str) -> bool:
    """Whether a client's id is the URL of its metadata."""
    return client_id.startswith("https://")


def read_document(client_id: str, body: bytes) -> Client:
    """The client its document describes; BadClientMetadata when it describes another, or none."""
    parts = _split(client_id)
    dotted = parts is not None and any(step in (".", "..") for step in parts.path.split("/"))
    if parts is None or not parts.path.strip("/") or "#" in client_id or "@" in parts.netloc or dotted:
        raise BadClientMetadata("such a client_id has a path, and neither fragment, user nor dots")
    try:
        said = _document.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BadClientMetadata("the client's metadata can't be read") from e
    if said.client_id != client_id:
        raise BadClientMetadata("the client's metadata names another client_id")
    if said.token_endpoint_auth_method != PUBLIC:
        raise BadClientMetadata("token_endpoint_auth_method is none")
    uris = read_redirect_uris(said.redirect_uris)
    return Client(client_id, read_client_name(said.client_name, uris), uris)


def may_redirect(registered: Sequence[str], asked: str) -> bool:
    """Exactly one of those registered; on this machine the port may be another one (RFC 8252, 7.3)."""
    if asked in registered:
        return True
    parts = _split(asked)
    if parts is None or parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        return False
    try:
        read_redirect_uri(asked)
    except BadRedirectUri:
        return False
    return any(_without_port(text) == _without_port(asked) for text in registered)


def _without_port(text: str) -> tuple[Any, ...]:
    parts = urlsplit(text)
    return parts.scheme, parts.hostname, parts.path, parts.query


def read_scopes(scope: str | None) -> tuple[str, ...] | None:
    """The scopes asked for, in the order of power, read if none; None when one is not ours."""
    asked = set((scope or "").split()) or {"read"}
    if not asked <= set(SCOPES):
        return None
    return tuple(name for name in SCOPES if name in asked | {"read"})


def is_challenge(text: str) -> bool:
    """Whether this may be a PKCE challenge by S256."""
    return _CHALLENGE.fullmatch(text) is not None


def answers(challenge: str, verifier: str) -> bool:
    """Whether the verifier is the one the challenge was made of."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())


def read_resource(asked: str, own: str) -> str | None:
    """What a token asked for a resource counts for: our MCP address only, or "" for our whole origin; None
    when it is none of ours (RFC 8707). A slash at the end makes no other resource."""
    parts = urlsplit(own)
    given = asked.rstrip("/").lower()
    if given == own.lower():
        return own
    return "" if given == f"{parts.scheme}://{parts.netloc}".lower() else None
