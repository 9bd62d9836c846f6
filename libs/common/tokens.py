"""Reading the house's tokens: what a JWT of ours says, and whether it is one.

Auth signs (``services/auth/tokens.py``); whoever opens a door verifies here with the public keys that
auth gives out. One algorithm, EdDSA over Ed25519: a header that names another one, or a ``kid`` nobody
knows, is refused before any cryptography. Pure: keys and time are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.common.errors import NotAuthenticated
from libs.common.principal import Principal, SessionType

ISSUER = "tradewind"
AUDIENCE = "tradewind"
ALGORITHM = "EdDSA"
ACCESS = "access"
STREAM = "stream"

PASS_PREFIX = "tw_pass_"  # noqa: S105 - an opaque session that comes as a bearer token

TOKEN_CHARS_MAX = 8192
LEEWAY_S = 5  # how far the clock of another machine may be ahead of ours: for iat and nbf, never for exp

_KIND_OF_TYPE = {
    SessionType.USER: "account",
    SessionType.MANAGER: "staff",
    SessionType.DEALER: "staff",
    SessionType.ADMIN: "staff",
    SessionType.CUSTOMER: "customer",
}


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token says. ``sub`` is ``account:<login>``, ``staff:<login>`` or ``customer:<person id>``.

    ``type`` is the session type of the broker contract 10.1, ``grp`` the account's group, ``person``
    the person behind it (none for staff), ``logins`` every account it may name, ``ver`` the subject's
    token version at the time of signing. Times are Unix seconds.
    """

    iss: str
    aud: str
    typ: str
    sub: str
    login: int | None
    type: int
    grp: str
    person: int | None
    read_only: int
    logins: tuple[int, ...]
    iat: int
    nbf: int
    exp: int
    jti: str
    ver: int


def subject_of(kind: str, number: int) -> str:
    """The ``sub`` of an account's or staff login, or of a customer's person id."""
    return f"{kind}:{number}"


class PublicKeys:
    """The keys a valid token may be signed with, by ``kid``."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keys = dict(keys)

    @classmethod
    def from_jwks(cls, keys: Iterable[Mapping[str, Any]]) -> PublicKeys:
        """From an RFC 7517 key set; keys of another kind than ours are left out."""
        found: dict[str, Ed25519PublicKey] = {}
        for key in keys:
            if key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and key.get("kid"):
                public = jwt.PyJWK.from_dict(dict(key), algorithm=ALGORITHM).key
                if isinstance(public, Ed25519PublicKey):
                    found[str(key["kid"])] = public
        return cls(found)

    def __contains__(self, kid: str) -> bool:
        return kid in self._keys

    def verify(self, token: str, *, now_s: int, typ: str = ACCESS) -> Claims:
        """The claims of a good token of kind ``typ``; NotAuthenticated for everything else.

        It does not know what was revoked: see ``Revocations``.
        """
        if len(token) > TOKEN_CHARS_MAX:
            raise NotAuthenticated
        claims = self._signed_claims(token)
        if claims.iss != ISSUER or claims.aud != AUDIENCE or claims.typ != typ:
            raise NotAuthenticated
        if now_s >= claims.exp or now_s + LEEWAY_S < max(claims.nbf, claims.iat):
            raise NotAuthenticated
        return claims

    def _signed_claims(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != ALGORITHM or header.get("typ") != "JWT":
                raise NotAuthenticated
            key = self._keys.get(str(header.get("kid")))
            if key is None:
                raise NotAuthenticated
            # Times, issuer and audience are checked by ``verify``: PyJWT would read the machine's clock.
            said = jwt.decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
            return msgspec.convert(said, Claims)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError) as e:
            raise NotAuthenticated from e


_SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def kid_of(token: str) -> str | None:
    """The ``kid`` a token names, unverified: to see whether the keys must be fetched again."""
    if len(token) > TOKEN_CHARS_MAX:
        return None
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError):
        return None
    return kid if isinstance(kid, str) else None


def principal_of(claims: Claims, *, address: str = "") -> Principal:
    """The caller behind verified claims."""
    kind = _KIND_OF_TYPE.get(claims.type)  # type: ignore[call-overload]
    if kind is None:
        raise NotAuthenticated
    return Principal(
        kind=kind,
        login=claims.login,
        logins=claims.logins,
        person_id=claims.person,
        session_type=claims.type,
        group=claims.grp,
        read_only=bool(claims.read_only),
        jti=claims.jti,
        expires_at=claims.exp,
        address=address,
        subject=claims.sub,
        version=claims.ver,
    )


class Revocations:
    """What was revoked and could still be presented: kept by whoever opens a door.

    A subject's tokens below a version, or single tokens by their ``jti``; each until the last token it
    concerns has expired, so the size is bounded by the revocations of one token lifetime.
    """

    def __init__(self) -> None:
        self._versions: dict[str, tuple[int, int]] = {}
        self._ids: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._versions) + len(self._ids)

    def add(self, subject: str, *, version_min: int = 0, jtis: Iterable[str] = (), until_ms: int) -> None:
        """Take over a revocation: of the subject's versions below ``version_min``, and of ``jtis``."""
        for jti in jtis:
            self._ids[jti] = max(until_ms, self._ids.get(jti, 0))
        if version_min:
            known_version, known_until = self._versions.get(subject, (0, 0))
            self._versions[subject] = (max(version_min, known_version), max(until_ms, known_until))

    def allows(self, subject: str, version: int, jti: str) -> bool:
        """Whether a token of ``subject`` in ``version`` still counts."""
        if jti in self._ids:
            return False
        version_min, _ = self._versions.get(subject, (0, 0))
        return version >= version_min

    def forget(self, now_ms: int) -> None:
        """Drop what can't be presented any more."""
        self._ids = {jti: until for jti, until in self._ids.items() if until > now_ms}
        self._versions = {sub: held for sub, held in self._versions.items() if held[1] > now_ms}
