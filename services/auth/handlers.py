"""One function per subject: what the message asks of the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.common import subjects
from libs.common.bus import Call, Handler
from libs.common.messages import auth, auth_oauth, auth_people, requests
from libs.common.messages.house import Done
from libs.common.principal import Principal
from libs.common.subjects import Command
from services.auth.adapters.background import Background
from services.auth.adapters.turnstile import Turnstile
from services.auth.administration import Administration
from services.auth.auditing import Auditor
from services.auth.credentials import Credentials
from services.auth.customers import CustomerDoor
from services.auth.key_door import KeyDoor
from services.auth.keyring import KeyRing
from services.auth.mails import Mails
from services.auth.oauth_door import OAuthDoor
from services.auth.request_door import RequestDoor
from services.auth.scan_door import ScanDoor
from services.auth.service import AuthService
from services.auth.sessions import Sessions
from services.auth.terminal import Terminal
from services.auth.wallet_door import WalletDoor

Handlers = list[tuple[Command[Any, Any], Handler]]


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the handlers call."""

    service: AuthService
    sessions: Sessions
    credentials: Credentials
    customers: CustomerDoor
    administration: Administration
    scan: ScanDoor
    keys: KeyDoor
    oauth: OAuthDoor
    wallets: WalletDoor
    mails: Mails
    terminal: Terminal
    requests: RequestDoor
    background: Background
    turnstile: Turnstile
    auditor: Auditor
    keyring: KeyRing


def handlers_of(use: UseCases) -> Handlers:
    """Every command auth answers."""
    every = [
        *_signing(use),
        *_session_handlers(use),
        *_customer_handlers(use),
        *_administration_handlers(use),
        *_scan_handlers(use),
        *_key_handlers(use),
        *_oauth_handlers(use),
        *_wallet_handlers(use),
        *_mail_handlers(use),
        *_terminal_handlers(use),
        *_request_handlers(use),
        *_house_handlers(use),
    ]
    return [
        (command, _one_by_one(handler, use.turnstile) if command in CHECKS_PASSWORD else handler)
        for command, handler in every
    ]


CHECKS_PASSWORD = frozenset(
    (
        subjects.SIGN_UP,
        subjects.SIGN_IN,
        subjects.USER_ADD,
        subjects.PASSWORD_CHANGE,
        subjects.CUSTOMER_REGISTER,
        subjects.CUSTOMER_LOGIN,
        subjects.SCAN_SIGN_UP,
        subjects.SCAN_LOGIN,
        subjects.PASSWORD_RESET,
        subjects.STAFF_ADD,
    )
)


def _one_by_one(handler: Handler, turnstile: Turnstile) -> Handler:
    async def waits(message: Any, call: Call) -> Any:
        async with turnstile.passed():
            return await handler(message, call)

    return waits


def _signing(use: UseCases) -> Handlers:
    async def sign_up(message: auth.SignUp, call: Call) -> auth.SignedIn:
        return await use.service.sign_up(message)

    async def sign_in(message: auth.SignIn, call: Call) -> auth.SignedIn:
        return await use.service.sign_in(message)

    async def sign_check(message: auth.SignCheck, call: Call) -> auth.SignedIn:
        return await use.service.sign_check(message)

    async def user_add(message: auth.UserAdd, call: Call) -> auth.UserAdded:
        return await use.service.add_user(message)

    async def account_of(message: auth.AccountAsk, call: Call) -> auth.Account:
        return await use.service.account_of(message)

    async def password_change(message: auth.PasswordChange, call: Call) -> auth.PasswordChanged:
        answer = await use.credentials.change(message)
        if not message.investor:
            use.background.run("password mail", use.mails.tell_password_changed(login=message.login))
        return answer

    return [
        (subjects.SIGN_UP, sign_up),
        (subjects.SIGN_IN, sign_in),
        (subjects.SIGN_CHECK, sign_check),
        (subjects.USER_ADD, user_add),
        (subjects.ACCOUNT_OF, account_of),
        (subjects.PASSWORD_CHANGE, password_change),
    ]


def _session_handlers(use: UseCases) -> Handlers:
    async def sign_out(message: auth.SignOut, call: Call) -> Done:
        await use.sessions.sign_out(message)
        return Done()

    async def refresh(message: auth.Refresh, call: Call) -> auth.Refreshed:
        return await use.sessions.refresh(message)

    async def stream_token(message: auth.StreamTokenAsk, call: Call) -> auth.StreamToken:
        return await use.sessions.stream_token(message)

    async def stream_redeem(message: auth.StreamRedeem, call: Call) -> Principal:
        return await use.sessions.redeem(message)

    async def revocations(message: auth.RevocationsAsk, call: Call) -> auth.RevocationList:
        return await use.sessions.revocations()

    return [
        (subjects.SIGN_OUT, sign_out),
        (subjects.SIGN_REFRESH, refresh),
        (subjects.STREAM_TOKEN, stream_token),
        (subjects.STREAM_REDEEM, stream_redeem),
        (subjects.REVOCATIONS, revocations),
    ]


def _customer_handlers(use: UseCases) -> Handlers:
    async def register(message: auth_people.CustomerRegister, call: Call) -> auth_people.CustomerRegistered:
        return await use.customers.register(message)

    async def login(message: auth_people.CustomerLogin, call: Call) -> auth_people.CustomerIn:
        return await use.customers.login(message)

    async def accounts(message: auth_people.CustomerAsk, call: Call) -> auth_people.CustomerAccounts:
        return await use.customers.accounts(message)

    async def account_open(
        message: auth_people.CustomerAccountOpen, call: Call
    ) -> auth_people.CustomerAccountOpened:
        return await use.customers.open_account(message)

    async def otp_offer(message: auth_people.CustomerAsk, call: Call) -> auth_people.OtpOffer:
        return await use.customers.otp_offer(message)

    async def otp_set(message: auth_people.OtpSet, call: Call) -> auth_people.OtpState:
        return await use.customers.otp_set(message)

    async def otp_check(message: auth_people.OtpCheck, call: Call) -> Done:
        await use.customers.otp_check(message)
        return Done()

    return [
        (subjects.CUSTOMER_REGISTER, register),
        (subjects.CUSTOMER_LOGIN, login),
        (subjects.CUSTOMER_ACCOUNTS, accounts),
        (subjects.CUSTOMER_ACCOUNT_OPEN, account_open),
        (subjects.OTP_OFFER, otp_offer),
        (subjects.OTP_SET, otp_set),
        (subjects.OTP_CHECK, otp_check),
    ]


def _administration_handlers(use: UseCases) -> Handlers:
    async def user_update(message: auth.UserUpdate, call: Call) -> auth.Account:
        return await use.administration.update_user(message)

    async def person_find(message: auth.PersonName, call: Call) -> auth.PersonView:
        return await use.administration.find_person(message)

    async def person_set(message: auth.PersonSet, call: Call) -> auth.PersonView:
        return await use.administration.set_person(message)

    async def staff_add(message: auth.StaffAdd, call: Call) -> auth.StaffView:
        return await use.administration.add_staff(message)

    async def staff_update(message: auth.StaffUpdate, call: Call) -> auth.StaffView:
        return await use.administration.update_staff(message)

    async def staff_list(message: auth.StaffAsk, call: Call) -> auth.StaffList:
        return await use.administration.list_staff()

    async def sso(message: auth.SsoAsk, call: Call) -> auth.SignedIn:
        return await use.administration.sso(message)

    return [
        (subjects.USER_UPDATE, user_update),
        (subjects.PERSON_FIND, person_find),
        (subjects.PERSON_SET, person_set),
        (subjects.STAFF_ADD, staff_add),
        (subjects.STAFF_UPDATE, staff_update),
        (subjects.STAFF_LIST, staff_list),
        (subjects.SSO, sso),
    ]


def _scan_handlers(use: UseCases) -> Handlers:
    async def sign_up(message: auth_people.ScanSignUp, call: Call) -> auth_people.ScanIn:
        return await use.scan.sign_up(message)

    async def login(message: auth_people.ScanLogin, call: Call) -> auth_people.ScanIn:
        return await use.scan.login(message)

    async def logout(message: auth_people.ScanOut, call: Call) -> Done:
        await use.scan.logout(message)
        return Done()

    async def me(message: auth_people.CustomerAsk, call: Call) -> auth_people.ScanUserIs:
        return await use.scan.me(message)

    async def resolve(message: auth_people.CookieResolve, call: Call) -> Principal:
        return await use.scan.resolve(message)

    return [
        (subjects.SCAN_SIGN_UP, sign_up),
        (subjects.SCAN_LOGIN, login),
        (subjects.SCAN_LOGOUT, logout),
        (subjects.SCAN_ME, me),
        (subjects.COOKIE_RESOLVE, resolve),
    ]


def _key_handlers(use: UseCases) -> Handlers:
    async def create(message: auth_people.KeyCreate, call: Call) -> auth_people.KeyCreated:
        return await use.keys.create(message)

    async def listed(message: auth_people.KeyListAsk, call: Call) -> auth_people.KeyList:
        return await use.keys.list(message)

    async def revoke(message: auth_people.KeyRevoke, call: Call) -> Done:
        await use.keys.revoke(message)
        return Done()

    async def issue(message: auth_people.AgentKeyIssue, call: Call) -> auth_people.AgentKey:
        return await use.keys.issue(message)

    async def resolve(message: auth_people.KeyResolve, call: Call) -> Principal:
        return await use.keys.resolve(message)

    return [
        (subjects.API_KEY_CREATE, create),
        (subjects.API_KEY_LIST, listed),
        (subjects.API_KEY_REVOKE, revoke),
        (subjects.AGENT_KEY_ISSUE, issue),
        (subjects.API_KEY_RESOLVE, resolve),
    ]


def _oauth_handlers(use: UseCases) -> Handlers:
    async def register(message: auth_oauth.OAuthRegister, call: Call) -> auth_oauth.OAuthClient:
        return await use.oauth.register(message)

    async def ask(message: auth_oauth.OAuthAsk, call: Call) -> auth_oauth.OAuthAsked:
        return await use.oauth.ask(message)

    async def consent(message: auth_oauth.OAuthConsent, call: Call) -> auth_oauth.OAuthCode:
        return await use.oauth.consent(message)

    async def exchange(message: auth_oauth.OAuthExchange, call: Call) -> auth_oauth.OAuthGiven:
        return await use.oauth.exchange(message)

    async def revoke(message: auth_oauth.OAuthRevoke, call: Call) -> Done:
        await use.oauth.revoke(message)
        return Done()

    return [
        (subjects.OAUTH_REGISTER, register),
        (subjects.OAUTH_ASK, ask),
        (subjects.OAUTH_CONSENT, consent),
        (subjects.OAUTH_EXCHANGE, exchange),
        (subjects.OAUTH_REVOKE, revoke),
    ]


def _wallet_handlers(use: UseCases) -> Handlers:
    async def person_of(message: auth_people.WalletPersonAsk, call: Call) -> auth_people.WalletPerson:
        return await use.wallets.person_of(message)

    async def grant(message: auth_people.AccessGrant, call: Call) -> auth_people.AccessGranted:
        return await use.wallets.grant(message)

    return [(subjects.WALLET_PERSON, person_of), (subjects.ACCESS_GRANT, grant)]


def _mail_handlers(use: UseCases) -> Handlers:
    async def ask(message: auth_people.MailVerifyAsk, call: Call) -> Done:
        await use.mails.ask_verify(message)
        return Done()

    async def verify(message: auth_people.MailVerify, call: Call) -> Done:
        await use.mails.verify(message)
        return Done()

    async def forgot(message: auth_people.PasswordForgot, call: Call) -> Done:
        # Whether there is such a person must not show in the time of the answer.
        use.background.run("password forgot", use.mails.forgot(message))
        return Done()

    async def reset(message: auth_people.PasswordReset, call: Call) -> Done:
        person_id = await use.mails.reset(message)
        use.background.run("password mail", use.mails.tell_password_changed(person_id=person_id))
        return Done()

    return [
        (subjects.MAIL_VERIFY_ASK, ask),
        (subjects.MAIL_VERIFY, verify),
        (subjects.PASSWORD_FORGOT, forgot),
        (subjects.PASSWORD_RESET, reset),
    ]


def _terminal_handlers(use: UseCases) -> Handlers:
    async def listed(message: auth_people.ScriptListAsk, call: Call) -> auth_people.ScriptList:
        return await use.terminal.list_scripts(message)

    async def get(message: auth_people.ScriptAsk, call: Call) -> auth_people.ScriptView:
        return await use.terminal.script(message)

    async def add(message: auth_people.ScriptAdd, call: Call) -> auth_people.ScriptSaved:
        return await use.terminal.add_script(message)

    async def update(message: auth_people.ScriptUpdate, call: Call) -> auth_people.ScriptSaved:
        return await use.terminal.update_script(message)

    async def delete(message: auth_people.ScriptAsk, call: Call) -> Done:
        await use.terminal.delete_script(message)
        return Done()

    async def settings(message: auth_people.SettingsAsk, call: Call) -> auth_people.Settings:
        return await use.terminal.settings(message)

    async def put_settings(message: auth_people.SettingsPut, call: Call) -> Done:
        await use.terminal.put_settings(message)
        return Done()

    return [
        (subjects.SCRIPT_LIST, listed),
        (subjects.SCRIPT_GET, get),
        (subjects.SCRIPT_ADD, add),
        (subjects.SCRIPT_UPDATE, update),
        (subjects.SCRIPT_DELETE, delete),
        (subjects.SETTINGS_GET, settings),
        (subjects.SETTINGS_PUT, put_settings),
    ]


def _request_handlers(use: UseCases) -> Handlers:
    async def begin(message: requests.RequestBegin, call: Call) -> requests.RequestBegun:
        return await use.requests.begin(message)

    async def finish(message: requests.RequestFinish, call: Call) -> Done:
        await use.requests.finish(message)
        return Done()

    return [(subjects.REQUEST_BEGIN, begin), (subjects.REQUEST_FINISH, finish)]


def _house_handlers(use: UseCases) -> Handlers:
    async def keys_public(message: auth.KeysAsk, call: Call) -> auth.JsonWebKeys:
        return auth.JsonWebKeys(keys=use.keyring.jwks())

    async def key_rotate(message: auth.KeyRotate, call: Call) -> auth.KeyRotated:
        return auth.KeyRotated(kid=await use.keyring.rotate())

    async def audit_append(message: auth.AuditAppend, call: Call) -> auth.AuditRow:
        return await use.auditor.append(message)

    async def audit_list(message: auth.AuditAsk, call: Call) -> auth.AuditPage:
        return await use.auditor.page(message)

    async def audit_verify(message: auth.AuditVerify, call: Call) -> auth.AuditChecked:
        return await use.auditor.verify()

    return [
        (subjects.KEYS_PUBLIC, keys_public),
        (subjects.KEY_ROTATE, key_rotate),
        (subjects.AUDIT_APPEND, audit_append),
        (subjects.AUDIT_LIST, audit_list),
        (subjects.AUDIT_VERIFY, audit_verify),
    ]
