"""Messages owned by auth about OAuth 2.1: clients, consent, codes and grants. Major 1 of each."""

from __future__ import annotations

import msgspec


class OAuthRegister(msgspec.Struct, frozen=True, kw_only=True):
    """Register a client (RFC 7591). Everything it says about itself is unproven."""

    redirect_uris: list[str]
    client_name: str = ""
    client_uri: str = ""
    token_endpoint_auth_method: str = "none"  # noqa: S105
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] = ("code",)
    ip: str = ""


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """A registered client, in the fields of RFC 7591."""

    client_id: str
    client_id_issued_at: int
    client_name: str
    redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: str = "none"  # noqa: S105
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] = ("code",)


class OAuthAsk(msgspec.Struct, frozen=True, kw_only=True):
    """May this client ask for that? ``document`` is the client's metadata where its id is a URL, as fetched.

    ``own_resource`` is our MCP address as the caller sees it; a token may be asked for nothing else.
    ``person_id`` is who is signed in.
    """

    client_id: str
    redirect_uri: str
    response_type: str
    challenge: str
    challenge_method: str
    own_resource: str
    resource: str | None = None
    scope: str | None = None
    document: bytes | None = None
    person_id: int | None = None


class OAuthAsked(msgspec.Struct, frozen=True, kw_only=True):
    """It may be asked; or it may not, and ``error`` goes to the client at ``redirect_uri``.

    ``client_host`` is where the answer goes, in words for people. ``scopes`` is what a consent gives,
    ``needs_person`` says that somebody has to sign in for it. 1.1 added ``publisher``: the host of the
    client's metadata document, "" for a client that registered itself.
    """

    client_name: str
    client_host: str
    redirect_uri: str
    scopes: tuple[str, ...] = ()
    needs_person: bool = False
    error: str = ""
    error_description: str = ""
    publisher: str = ""


class OAuthConsent(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody agreed. ``ip`` is their address: starter credits are counted by it."""

    ask: OAuthAsk
    ip: str = ""


class OAuthCode(msgspec.Struct, frozen=True, kw_only=True):
    """The code for the client; it counts once, for five minutes."""

    code: str


class OAuthExchange(msgspec.Struct, frozen=True, kw_only=True):
    """A code for a token."""

    grant_type: str
    code: str
    redirect_uri: str
    client_id: str
    verifier: str
    own_resource: str
    resource: str | None = None


class OAuthToken(msgspec.Struct, frozen=True, kw_only=True):
    """The token: an API key, shown this once."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105
    scope: str


class OAuthGiven(msgspec.Struct, frozen=True, kw_only=True):
    """The token with whose it is: the key behind it, its person if it has one, and where it was agreed to."""

    token: OAuthToken
    key_id: str
    person_id: int | None = None
    address: str = ""


class OAuthRevoke(msgspec.Struct, frozen=True, kw_only=True):
    """A client gives its token back (RFC 7009)."""

    token: str
    client_id: str | None = None
