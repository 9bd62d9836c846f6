"""Making tokens: the claims of each kind of subject, signed with the active key."""

from __future__ import annotations

from dataclasses import dataclass

import jwt
import msgspec

from libs.common.principal import SessionType
from libs.common.tokens import ALGORITHM, AUDIENCE, ISSUER, Claims, subject_of
from services.auth.keys import SigningKey

ACCESS_S = 24 * 3600
STREAM_S = 60
REFRESH_S = 30 * 24 * 3600
LOGINS_MAX = 200  # a token stays below what a header may hold


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a token speaks for: the part of the claims that does not depend on when it is signed.

    ``number`` is the login, for customers the person id.
    """

    kind: str
    number: int
    session_type: SessionType
    version: int
    person_id: int | None = None
    group: str = ""
    logins: tuple[int, ...] = ()
    read_only: bool = False

    @property
    def name(self) -> str:
        return subject_of(self.kind, self.number)

    @property
    def login(self) -> int | None:
        return None if self.kind == "customer" else self.number


def claims_of(subject: Subject, *, typ: str, jti: str, now_s: int, lifetime_s: int) -> Claims:
    """The claims of a token signed now."""
    return Claims(
        iss=ISSUER,
        aud=AUDIENCE,
        typ=typ,
        sub=subject.name,
        login=subject.login,
        type=int(subject.session_type),
        grp=subject.group,
        person=subject.person_id,
        read_only=int(subject.read_only),
        logins=subject.logins[:LOGINS_MAX],
        iat=now_s,
        nbf=now_s,
        exp=now_s + lifetime_s,
        jti=jti,
        ver=subject.version,
    )


def sign(claims: Claims, key: SigningKey) -> str:
    """The compact JWT."""
    return jwt.encode(
        msgspec.to_builtins(claims), key.private, algorithm=ALGORITHM, headers={"kid": key.kid, "typ": "JWT"}
    )
