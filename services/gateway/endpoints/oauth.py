"""Rows of OAuth 2.1: what clients discover, registration, consent, tokens, a person's grants."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from libs.common import subjects
from libs.common.messages import auth_oauth
from services.gateway.endpoints.row import KIB, PUBLIC, Caller, Endpoint, Limit

REGISTRATIONS = (Limit("oauth-register", 30, window_s=3600),)
ASKS = (Limit("oauth-pages", 120),)
TOKENS = (Limit("oauth-token", 120),)

# What a handler looks at besides the fields: who is signed in, and whether one of our own pages asks.
PAGE_HEADERS = ("cookie", "origin", "host")
Uri = Annotated[str, Meta(max_length=2_000)]
Word = Annotated[str, Meta(max_length=200)]


class RegisterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says about itself (RFC 7591); other members are ignored."""

    redirect_uris: Annotated[list[Uri], Meta(max_length=50)] = []
    client_name: Word = ""
    client_uri: Uri = ""
    token_endpoint_auth_method: Word = "none"  # noqa: S105
    grant_types: Annotated[tuple[Word, ...], Meta(max_length=10)] = ("authorization_code",)
    response_types: Annotated[tuple[Word, ...], Meta(max_length=10)] = ("code",)


class AuthorizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks of a person (RFC 6749, 4.1.1, with PKCE and a resource indicator)."""

    response_type: Word = ""
    client_id: Uri = ""
    redirect_uri: Uri = ""
    state: Annotated[str, Meta(max_length=4_000)] | None = None
    code_challenge: Word = ""
    code_challenge_method: Word = ""
    scope: Annotated[str, Meta(max_length=500)] | None = None
    resource: Uri | None = None


class ProtectedResource(msgspec.Struct, frozen=True, kw_only=True):
    """The MCP address as a protected resource (RFC 9728)."""

    resource: str
    authorization_servers: list[str]
    bearer_methods_supported: list[str]
    scopes_supported: list[str]
    resource_name: str
    resource_documentation: str


class AuthorizationServer(msgspec.Struct, frozen=True, kw_only=True):
    """We as an authorization server (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    service_documentation: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    grant_types_supported: list[str]
    code_challenge_methods_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]
    authorization_response_iss_parameter_supported: bool
    client_id_metadata_document_supported: bool


def _register(request: RegisterRequest, caller: Caller) -> auth_oauth.OAuthRegister:
    return auth_oauth.OAuthRegister(**msgspec.structs.asdict(request), ip=caller.principal.address)


def _local(method: str, path: str, local: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(
        **{
            "method": method,
            "path": path,
            "surface": "oauth",
            "tags": ("oauth",),
            "summary": summary,
            "access": PUBLIC,
            "repeat": "safe" if method == "GET" else "key",
            "local": local,
            "response": str,
            "content_type": "text/html",
            "headers": PAGE_HEADERS,
            "limits": ASKS,
            "raw": method != "GET",
            "unkeyed": True,
            "body_bytes_max": 32 * KIB,
            **more,
        }
    )


RESOURCE_PATH = "/.well-known/oauth-protected-resource"

ROWS = (
    *(
        _local(
            "GET",
            path,
            "oauth_resource",
            "The MCP address as a protected resource (RFC 9728)",
            response=ProtectedResource,
            content_type="application/json",
            limits=(),
        )
        for path in (RESOURCE_PATH, f"{RESOURCE_PATH}/mcp")
    ),
    _local(
        "GET",
        "/.well-known/oauth-authorization-server",
        "oauth_server",
        "The authorization server (RFC 8414)",
        response=AuthorizationServer,
        content_type="application/json",
        limits=(),
    ),
    Endpoint(
        method="POST",
        path="/oauth/register",
        surface="oauth",
        tags=("oauth",),
        summary="Register a client (RFC 7591)",
        access=PUBLIC,
        repeat="key",
        request=RegisterRequest,
        command=subjects.OAUTH_REGISTER,
        message=_register,
        response=auth_oauth.OAuthClient,
        status=201,
        body_bytes_max=16 * KIB,
        limits=REGISTRATIONS,
        unkeyed=True,
        errors=("invalid_redirect_uri", "invalid_client_metadata"),
    ),
    _local(
        "GET",
        "/oauth/authorize",
        "oauth_authorize",
        "The page that asks a person to agree",
        request=AuthorizeRequest,
    ),
    _local("POST", "/oauth/authorize", "oauth_decide", "The person's answer to that page"),
    _local("POST", "/oauth/sign-in", "oauth_sign_in", "Sign in on that page", repeat="idempotent"),
    _local(
        "POST",
        "/oauth/token",
        "oauth_token",
        "A code for a token (form fields of RFC 6749, 4.1.3)",
        response=auth_oauth.OAuthToken,
        content_type="application/json",
        limits=TOKENS,
        errors=("invalid_grant", "unsupported_grant_type", "invalid_target"),
    ),
    _local(
        "POST",
        "/oauth/revoke",
        "oauth_revoke",
        "A client gives its token back (RFC 7009)",
        response=None,
        content_type="application/json",
        limits=TOKENS,
        repeat="idempotent",
    ),
    _local("GET", "/oauth/grants", "oauth_grants", "The grants of the person who is signed in"),
    _local("POST", "/oauth/grants", "oauth_end", "End a grant from that page", repeat="idempotent"),
)
