"""Types of request fields, with their bounds: what is outside is INVALID_DATA and names the field."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

# Every integer a JSON client can send without loss.
_SAFE = 2**53 - 1
_YEAR_9999_S = 253_402_300_799

Integer: TypeAlias = Annotated[int, Meta(ge=-_SAFE, le=_SAFE)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=_SAFE)]
Small: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Login: TypeAlias = Annotated[int, Meta(ge=0, le=_SAFE, description="Trading account.")]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=_YEAR_9999_S, description="Unix seconds, UTC.")]
Flag: TypeAlias = Annotated[int, Meta(ge=0, le=1, description="0 or 1.")]
Symbol: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Symbol, in any case.")]
GroupName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, description="Group of accounts.")]
Password: TypeAlias = Annotated[str, Meta(min_length=6, max_length=64)]
Email: TypeAlias = Annotated[str, Meta(min_length=3, max_length=254)]
Line: TypeAlias = Annotated[str, Meta(max_length=256)]
Text: TypeAlias = Annotated[str, Meta(max_length=4096)]
