"""What auth says and is asked: people, accounts, sessions, keys, OAuth, settings, the audit log."""

from __future__ import annotations

from libs.common.messages import auth, auth_oauth, auth_people, house, notifier, requests
from libs.common.principal import Principal
from libs.common.subjects.kinds import PUSH_STREAM, Command, Subject

ACCOUNT_OPENED = Subject("auth.evt.account.opened.v1.{login}", auth.AccountOpened, stream="AUTH")
SESSION_REVOKED = Subject("auth.evt.session.revoked.v1.{who}", auth.SessionRevoked, stream="AUTH")
ACCOUNT_CHANGED = Subject("auth.evt.account.changed.v1.{login}", auth.AccountChanged, stream="AUTH")
KEY_ISSUED = Subject("auth.evt.key.issued.v1.{key}", auth_people.KeyIssued, stream="AUTH")
SETTINGS_PUSH = Subject("auth.push.settings.v1.{login}", notifier.NotificationFrame, stream=PUSH_STREAM)
PERSON_CHANGED = Subject("auth.evt.person.changed.v1.{person}", auth.PersonChanged, stream="AUTH")

SIGN_UP = Command("auth.cmd.sign.up.v1", auth.SignUp, auth.SignedIn, effect=True, timeout_s=30.0)
SIGN_IN = Command("auth.cmd.sign.in.v1", auth.SignIn, auth.SignedIn, timeout_s=30.0)
SIGN_CHECK = Command("auth.cmd.sign.check.v1", auth.SignCheck, auth.SignedIn)
USER_ADD = Command("auth.cmd.user.add.v1", auth.UserAdd, auth.UserAdded, effect=True, timeout_s=30.0)
ACCOUNT_OF = Command(
    "auth.cmd.account.get.v1",
    auth.AccountAsk,
    auth.Account,
    callers=("gateway", "trading", "alerts", "notifier"),
)
KEYS_PUBLIC = Command("auth.cmd.keys.public.v1", auth.KeysAsk, auth.JsonWebKeys)
SIGN_OUT = Command("auth.cmd.sign.out.v1", auth.SignOut, house.Done, effect=True)
SIGN_REFRESH = Command("auth.cmd.sign.refresh.v1", auth.Refresh, auth.Refreshed, effect=True)
STREAM_TOKEN = Command("auth.cmd.stream.token.v1", auth.StreamTokenAsk, auth.StreamToken)
STREAM_REDEEM = Command("auth.cmd.stream.redeem.v1", auth.StreamRedeem, Principal, effect=True)
REVOCATIONS = Command("auth.cmd.revocations.list.v1", auth.RevocationsAsk, auth.RevocationList)
PASSWORD_CHANGE = Command(
    "auth.cmd.password.change.v1", auth.PasswordChange, auth.PasswordChanged, effect=True, timeout_s=30.0
)
CUSTOMER_REGISTER = Command(
    "auth.cmd.customer.register.v1",
    auth_people.CustomerRegister,
    auth_people.CustomerRegistered,
    effect=True,
    timeout_s=30.0,
)
CUSTOMER_LOGIN = Command(
    "auth.cmd.customer.login.v1", auth_people.CustomerLogin, auth_people.CustomerIn, timeout_s=30.0
)
CUSTOMER_ACCOUNTS = Command(
    "auth.cmd.customer.accounts.v1", auth_people.CustomerAsk, auth_people.CustomerAccounts
)
CUSTOMER_ACCOUNT_OPEN = Command(
    "auth.cmd.customer.account.open.v1",
    auth_people.CustomerAccountOpen,
    auth_people.CustomerAccountOpened,
    effect=True,
)
OTP_OFFER = Command("auth.cmd.otp.offer.v1", auth_people.CustomerAsk, auth_people.OtpOffer)
OTP_SET = Command("auth.cmd.otp.set.v1", auth_people.OtpSet, auth_people.OtpState, effect=True)
OTP_CHECK = Command("auth.cmd.otp.check.v1", auth_people.OtpCheck, house.Done)
USER_UPDATE = Command("auth.cmd.user.update.v1", auth.UserUpdate, auth.Account, effect=True)
PERSON_FIND = Command(
    "auth.cmd.person.get.v1", auth.PersonName, auth.PersonView, callers=("gateway", "billing", "notifier")
)
PERSON_SET = Command(
    "auth.cmd.person.set.v1", auth.PersonSet, auth.PersonView, effect=True, callers=("gateway", "billing")
)
STAFF_ADD = Command("auth.cmd.staff.add.v1", auth.StaffAdd, auth.StaffView, effect=True, timeout_s=30.0)
STAFF_UPDATE = Command("auth.cmd.staff.update.v1", auth.StaffUpdate, auth.StaffView, effect=True)
STAFF_LIST = Command("auth.cmd.staff.list.v1", auth.StaffAsk, auth.StaffList)
SSO = Command("auth.cmd.sso.v1", auth.SsoAsk, auth.SignedIn)
SCAN_SIGN_UP = Command(
    "auth.cmd.scan.signup.v1", auth_people.ScanSignUp, auth_people.ScanIn, effect=True, timeout_s=30.0
)
SCAN_LOGIN = Command("auth.cmd.scan.login.v1", auth_people.ScanLogin, auth_people.ScanIn, timeout_s=30.0)
SCAN_LOGOUT = Command("auth.cmd.scan.logout.v1", auth_people.ScanOut, house.Done, effect=True)
SCAN_ME = Command("auth.cmd.scan.me.v1", auth_people.CustomerAsk, auth_people.ScanUserIs)
COOKIE_RESOLVE = Command("auth.cmd.cookie.resolve.v1", auth_people.CookieResolve, Principal)
API_KEY_RESOLVE = Command("auth.cmd.apikey.resolve.v1", auth_people.KeyResolve, Principal)
API_KEY_CREATE = Command(
    "auth.cmd.apikey.create.v1", auth_people.KeyCreate, auth_people.KeyCreated, effect=True
)
API_KEY_LIST = Command("auth.cmd.apikey.list.v1", auth_people.KeyListAsk, auth_people.KeyList)
API_KEY_REVOKE = Command("auth.cmd.apikey.revoke.v1", auth_people.KeyRevoke, house.Done, effect=True)
AGENT_KEY_ISSUE = Command(
    "auth.cmd.apikey.issue.v1",
    auth_people.AgentKeyIssue,
    auth_people.AgentKey,
    effect=True,
    callers=("gateway", "billing"),
)
OAUTH_REGISTER = Command(
    "auth.cmd.oauth.register.v1", auth_oauth.OAuthRegister, auth_oauth.OAuthClient, effect=True
)
OAUTH_ASK = Command("auth.cmd.oauth.ask.v1", auth_oauth.OAuthAsk, auth_oauth.OAuthAsked)
OAUTH_CONSENT = Command(
    "auth.cmd.oauth.consent.v1", auth_oauth.OAuthConsent, auth_oauth.OAuthCode, effect=True
)
OAUTH_EXCHANGE = Command(
    "auth.cmd.oauth.exchange.v1", auth_oauth.OAuthExchange, auth_oauth.OAuthGiven, effect=True
)
OAUTH_REVOKE = Command("auth.cmd.oauth.revoke.v1", auth_oauth.OAuthRevoke, house.Done, effect=True)
SCRIPT_LIST = Command("auth.cmd.script.list.v1", auth_people.ScriptListAsk, auth_people.ScriptList)
SCRIPT_GET = Command("auth.cmd.script.get.v1", auth_people.ScriptAsk, auth_people.ScriptView)
SCRIPT_ADD = Command("auth.cmd.script.add.v1", auth_people.ScriptAdd, auth_people.ScriptSaved, effect=True)
SCRIPT_UPDATE = Command(
    "auth.cmd.script.update.v1", auth_people.ScriptUpdate, auth_people.ScriptSaved, effect=True
)
SCRIPT_DELETE = Command("auth.cmd.script.delete.v1", auth_people.ScriptAsk, house.Done, effect=True)
SETTINGS_GET = Command("auth.cmd.settings.get.v1", auth_people.SettingsAsk, auth_people.Settings)
SETTINGS_PUT = Command("auth.cmd.settings.put.v1", auth_people.SettingsPut, house.Done, effect=True)
MAIL_VERIFY_ASK = Command("auth.cmd.mail.ask.v1", auth_people.MailVerifyAsk, house.Done, effect=True)
MAIL_VERIFY = Command("auth.cmd.mail.verify.v1", auth_people.MailVerify, house.Done, effect=True)
PASSWORD_FORGOT = Command("auth.cmd.password.forgot.v1", auth_people.PasswordForgot, house.Done, effect=True)
PASSWORD_RESET = Command(
    "auth.cmd.password.reset.v1", auth_people.PasswordReset, house.Done, effect=True, timeout_s=30.0
)
PERSON_JOINED = Subject("auth.evt.person.joined.v1.{person}", auth_people.PersonJoined, stream="AUTH")
WALLET_PERSON = Command(
    "auth.cmd.wallet.person.v1",
    auth_people.WalletPersonAsk,
    auth_people.WalletPerson,
    effect=True,
    callers=("billing",),
)
ACCESS_GRANT = Command(
    "auth.cmd.access.grant.v1",
    auth_people.AccessGrant,
    auth_people.AccessGranted,
    effect=True,
    callers=("billing",),
)
REQUEST_BEGIN = Command(
    "auth.cmd.request.begin.v1", requests.RequestBegin, requests.RequestBegun, effect=True
)
REQUEST_FINISH = Command("auth.cmd.request.finish.v1", requests.RequestFinish, house.Done, effect=True)
AUDIT_APPEND = Command("auth.cmd.audit.append.v1", auth.AuditAppend, auth.AuditRow, effect=True)
AUDIT_LIST = Command("auth.cmd.audit.list.v1", auth.AuditAsk, auth.AuditPage)
AUDIT_VERIFY = Command(
    "auth.cmd.audit.verify.v1",
    auth.AuditVerify,
    auth.AuditChecked,
    callers=("gateway", "cli"),
    timeout_s=60.0,
)
KEY_ROTATE = Command(
    "auth.cmd.key.rotate.v1", auth.KeyRotate, auth.KeyRotated, effect=True, callers=("gateway", "cli")
)
# Raised by their owners, heard by the notifier: list, push and deliveries follow from the one fact.
AUTH_NOTICE = Subject("auth.evt.notice.raised.v1.{login}", notifier.Notice, stream="AUTH")
