"""Messages owned by auth about people: customers, the scan door, API keys, mails. Major 1 of each."""

from __future__ import annotations

import msgspec

# ── customers (broker 3) ────────────────────────────────────────────────────────────────────────


class CustomerRegister(msgspec.Struct, frozen=True, kw_only=True):
    """Register a customer; the person gets a demo account, too. ``ip`` is the caller's address."""

    email: str
    password: str
    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    brand: str = ""
    preferred_language: str = ""
    timezone: str = ""
    marketing_allowed: int = 0
    ip: str = ""


class CustomerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as registration shows it, in the contract's order."""

    customer_id: int
    email: str
    first_name: str
    last_name: str
    full_name: str
    status: str
    enable: int
    brand: str
    created_time: int
    updated_time: int


class CustomerRegistered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a registration."""

    registered: bool = True
    customer: CustomerRecord


class CustomerLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Sign in as a customer; ``otp_code`` is needed when one-time codes are on."""

    email: str
    password: str
    otp_code: str | None = None
    ip: str = ""


class CustomerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A trading account linked to a customer."""

    login: int
    customer_id: int
    enable: int
    leverage: int
    group: str
    name: str
    email: str


class CustomerIn(msgspec.Struct, frozen=True, kw_only=True):
    """The customer's sign-in object, in the contract's order; the refresh token is ours, last."""

    customer_id: int
    email: str
    full_name: str
    first_name: str
    last_name: str
    status: str
    phone: str
    preferred_language: str
    brand: str
    desk: str
    manager_id: int
    last_login_time: int
    otp_enabled: int
    accounts: list[CustomerAccount]
    token: str = msgspec.field(name="__token")
    refresh_token: str


class CustomerAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Something of the customer of this session."""

    customer_id: int


class CustomerAccounts(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts a customer may choose from."""

    accounts: list[CustomerAccount]


class CustomerAccountOpen(msgspec.Struct, frozen=True, kw_only=True):
    """Open a further account for the customer of this session."""

    customer_id: int
    leverage: int | None = None
    currency: str | None = None
    ip: str = ""


class CustomerAccountOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The new account, and a token that may name it."""

    login: int
    customer_id: int
    enable: int
    leverage: int
    group: str
    name: str
    email: str
    currency: str
    token: str = msgspec.field(name="__token")


class OtpOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A secret for an authenticator app; it counts once a code of it was given back."""

    otp_url: str
    secret: str
    algorithm: str
    digits: int
    period: int


class OtpSet(msgspec.Struct, frozen=True, kw_only=True):
    """Switch one-time codes on, or to another secret with a code of the one before."""

    customer_id: int
    secret: str
    code: str
    current_code: str | None = None
    ip: str = ""


class OtpState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one-time codes are asked for."""

    otp_enabled: int


class OtpCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Is this code right now?"""

    customer_id: int
    code: str
    ip: str = ""


# ── the scan door, API keys, mails ──────────────────────────────────────────────────────────────


class ScanSignUp(msgspec.Struct, frozen=True, kw_only=True):
    """Sign up by e-mail; the person gets a demo account, too. ``ip`` is the caller's address."""

    email: str
    password: str
    ref_code: str | None = None
    ip: str = ""


class ScanLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Sign in by e-mail."""

    email: str
    password: str
    ip: str = ""


class ScanUser(msgspec.Struct, frozen=True, kw_only=True):
    """The User object of the scan surface; ``id`` is the customer's. Times are ISO 8601 with ``Z``."""

    id: int
    email: str
    email_verified: bool
    tier: str
    tier_expires_at: str | None
    timezone: str
    created_at: str


class ScanIn(msgspec.Struct, frozen=True, kw_only=True):
    """Signed in: ``user`` is the answer's body, ``session`` the cookie's value for ``max_age_s``."""

    user: ScanUser
    session: str
    max_age_s: int


class ScanOut(msgspec.Struct, frozen=True, kw_only=True):
    """End the cookie's session; ending it again changes nothing."""

    session: str


class ScanUserIs(msgspec.Struct, frozen=True, kw_only=True):
    """``{"user":…}``"""

    user: ScanUser


class CookieResolve(msgspec.Struct, frozen=True, kw_only=True):
    """Whose session is this cookie? The answer is a Principal; not_authenticated when it is nobody's."""

    session: str


class KeyResolve(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key is this, used from this address? The answer is a Principal; invalid_agent_key otherwise."""

    key: str
    ip: str = ""


class KeyCreate(msgspec.Struct, frozen=True, kw_only=True):
    """Make an API key of a person, asked for from the address ``ip``. ``expires_at`` is ISO 8601,
    ``ip_allow`` addresses and networks."""

    person_id: int
    name: str
    scopes: list[str] | None = None
    mode: str | None = None
    expires_at: str | None = None
    ip_allow: list[str] | None = None
    ip: str = ""


class KeyCreated(msgspec.Struct, frozen=True, kw_only=True):
    """The new key, shown this once."""

    id: str
    key: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    mode: str
    created_at: str
    expires_at: str | None = None
    ip_allow: tuple[str, ...] = ()


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key as its owner sees it later."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    mode: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    ip_allow: tuple[str, ...]
    client_id: str | None = None  # the OAuth client that was given it


class KeyListAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a person."""

    person_id: int


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """``{"keys":[…]}``, newest first."""

    keys: list[KeyView]


class KeyRevoke(msgspec.Struct, frozen=True, kw_only=True):
    """Take a key back; not_found when it is somebody else's."""

    person_id: int
    id: str


class AgentKeyIssue(msgspec.Struct, frozen=True, kw_only=True):
    """Make a key by e-mail alone; it belongs to no person, even when the e-mail does."""

    email: str
    name: str = "agent"
    ip: str = ""


class AgentKey(msgspec.Struct, frozen=True, kw_only=True):
    """The new key, shown this once; ``email_key`` is the folded e-mail it was made with."""

    key: str
    key_id: str
    email_key: str


class KeyIssued(msgspec.Struct, frozen=True, kw_only=True):
    """An API key was made. Billing opens its balance; ``person_id`` is none for a key made by e-mail."""

    key_id: str
    person_id: int | None
    email_key: str
    mode: str
    origin: str
    address: str
    issued_ms: int


class MailVerifyAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Send the person a mail that proves the address."""

    person_id: int


class MailVerify(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has the token of that mail."""

    token: str


class PasswordForgot(msgspec.Struct, frozen=True, kw_only=True):
    """Send a mail that resets the password; the answer is the same whether the e-mail is known or not."""

    email: str
    ip: str = ""


class PasswordReset(msgspec.Struct, frozen=True, kw_only=True):
    """Set a new password with the token of that mail."""

    token: str
    password: str


# ── scripts and settings (broker 7.1, 7.2) ──────────────────────────────────────────────────────


class ScriptView(msgspec.Struct, frozen=True, kw_only=True):
    """A script of a terminal, in the contract's order. It runs on the client; here it is kept."""

    id: int
    login: int
    name: str
    script: str
    description: str
    kind: str
    language: str
    visibility: str
    autostart: int
    enabled: int
    created_time: int
    updated_time: int


class ScriptListAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The scripts of an account."""

    login: int


class ScriptList(msgspec.Struct, frozen=True, kw_only=True):
    """``{"rows":[script…]}``"""

    rows: list[ScriptView]


class ScriptAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One script. ``logins`` are the accounts of the caller, ``staff`` sees every one."""

    id: int
    logins: tuple[int, ...] = ()
    staff: bool = False


class ScriptAdd(msgspec.Struct, frozen=True, kw_only=True):
    """Keep a script for an account."""

    login: int
    name: str
    script: str
    autostart: int = 0
    description: str = ""
    kind: str = "indicator"
    language: str = "stscript"
    visibility: str = "private"
    enabled: int = 1


class ScriptUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Change a script of ``login``; absent fields stay."""

    id: int
    login: int
    name: str
    script: str
    staff: bool = False
    autostart: int | None = None
    description: str | None = None
    kind: str | None = None
    language: str | None = None
    visibility: str | None = None
    enabled: int | None = None


class ScriptSaved(msgspec.Struct, frozen=True, kw_only=True):
    """``{"data":"OK","id":n}``"""

    data: str = "OK"
    id: int


class SettingsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a login; without a prefix those without one, else the latest of any."""

    login: int
    prefix: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Free JSON of a terminal, as it was given. ``updated_time`` 0: there is none yet."""

    settings: msgspec.Raw
    updated_time: int


class SettingsPut(msgspec.Struct, frozen=True, kw_only=True):
    """Replace the settings of a login under a prefix; the other sessions of it hear that they changed.

    ``origin`` is the ``jti`` of the session that changed them.
    """

    login: int
    settings: msgspec.Raw
    prefix: str = ""
    origin: str = ""


# ── people of paying wallets, and access that was bought ────────────────────────────────────────


class WalletPersonAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The person of a paying wallet (``0x…``, lower case); it is made the first time."""

    wallet: str
    address: str = ""


class WalletPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Whose wallet it is."""

    person_id: int


class AccessGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A token that acts like a cookie session of the person with this tier until ``until_ms``."""

    person_id: int
    tier: str
    until_ms: int


class AccessGranted(msgspec.Struct, frozen=True, kw_only=True):
    """The token, shown this once; sent as ``Authorization: Bearer``."""

    access_token: str


class PersonJoined(msgspec.Struct, frozen=True, kw_only=True):
    """A person signed up. Billing attributes it to the code it came by."""

    person_id: int
    email_key: str
    ref_code: str
    address: str
    joined_ms: int
