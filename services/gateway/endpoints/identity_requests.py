"""Requests about people: passwords, customers, scripts and settings of the broker surface, staff."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from services.gateway.endpoints.broker_requests import AccountRequest, Leverage
from services.gateway.endpoints.fields import Count, Email, Flag, GroupName, Line, Login, Password, Text

Code = Annotated[str, Meta(min_length=1, max_length=16)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Source = Annotated[str, Meta(min_length=1, max_length=131_072)]
Currency = Annotated[str, Meta(min_length=3, max_length=8)]
StaffType = Annotated[int, Meta(ge=1, le=3, description="1 manager, 2 dealer, 3 admin.")]


class PasswordRequest(AccountRequest, frozen=True, kw_only=True):
    """Change a password. The holder sends the current one and ``new_password``; staff sends ``login`` and the
    new one as ``password``. With ``investor`` it is the read-only one."""

    password: Password
    new_password: Password | None = None
    investor: Flag = 0


class RegistrationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Register a customer."""

    email: Email
    password: Password
    first_name: Line = ""
    last_name: Line = ""
    phone: Line = ""
    brand: Line = ""
    preferred_language: Line = ""
    timezone: Line = ""
    marketing_allowed: Flag = 0


class CustomerLoginRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Sign in as a customer; ``otp_code`` when one-time codes are on."""

    email: Email
    password: Password
    otp_code: Code | None = None


class CustomerAccountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Open a further account."""

    leverage: Leverage | None = None
    currency: Currency | None = None


class OtpSetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Switch one-time codes on; ``current_code`` when they are already."""

    secret: Annotated[str, Meta(min_length=1, max_length=256)]
    code: Code
    current_code: Code | None = None


class OtpCheckRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Is this code right?"""

    code: Code


class ScriptIdRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One script. ``login`` may name the account it belongs to."""

    id: Count
    login: Login | None = None


class ScriptAddRequest(AccountRequest, frozen=True, kw_only=True):
    """Keep a script."""

    name: Name
    script: Source
    autostart: Flag = 0
    description: Text = ""
    kind: Line = "indicator"
    language: Line = "stscript"
    visibility: Line = "private"
    enabled: Flag = 1


class ScriptUpdateRequest(AccountRequest, frozen=True, kw_only=True):
    """Change a script; absent fields stay."""

    id: Count
    name: Name
    script: Source
    autostart: Flag | None = None
    description: Text | None = None
    kind: Line | None = None
    language: Line | None = None
    visibility: Line | None = None
    enabled: Flag | None = None


class SettingsRequest(AccountRequest, frozen=True, kw_only=True):
    """Settings under a prefix."""

    prefix: Annotated[str, Meta(max_length=64)] | None = None


class SettingsPutRequest(AccountRequest, frozen=True, kw_only=True):
    """Replace the settings under a prefix; any JSON object of at most 128 KiB."""

    settings: msgspec.Raw
    prefix: Annotated[str, Meta(max_length=64)] = ""


class UserUpdateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Change an account; absent fields stay."""

    login: Login
    group: GroupName | None = None
    leverage: Leverage | None = None
    enable: Flag | None = None
    enable_read_only: Flag | None = None
    enable_change_password: Flag | None = None
    send_reports: Flag | None = None
    name: Name | None = None
    phone: Line | None = None
    country: Line | None = None
    city: Line | None = None
    address: Line | None = None
    state: Line | None = None
    zipcode: Line | None = None
    comment: Line | None = None
    lead_source: Line | None = None


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    login: Login


class PersonRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A person, by one of the two."""

    customerId: Count | None = None  # noqa: N815
    email: Email | None = None


class CustomerUpdateRequest(PersonRequest, frozen=True, kw_only=True):
    """Let a person in, or keep it out of every door."""

    enable: Flag


class TierRequest(PersonRequest, frozen=True, kw_only=True):
    """Set a person's tier. ``expiresAt`` is ISO 8601 or Unix seconds; absent: without an end."""

    tier: Annotated[str, Meta(pattern="^(free|go|plus|pro)$")]
    expiresAt: str | Count | None = None  # noqa: N815


class StaffAddRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Add a member of staff."""

    name: Name
    password: Password
    type: StaffType
    email: Email | None = None
    login: Login | None = None


class StaffUpdateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Change a member of staff; absent fields stay."""

    login: Login
    name: Name | None = None
    email: Email | None = None
    type: StaffType | None = None
    enable: Flag | None = None
