"""The map of the bus: every subject, its message, its owner and its stream.

Only this file may hold a dotted subject name. Grammar:
``<owner>.<kind>.<noun>[.<past-verb>].v<major>.<key>…``; keys are made safe as tokens.

| kind | means | carried by |
|---|---|---|
| tick | the latest value wins; a gap-free ``seq`` per symbol shows a hole | core NATS |
| cmd | a request to the owner, may be refused | core NATS request/reply, queue group = owner |
| evt | a fact, in the past tense | JetStream, at least once |
| push | an event for the sockets of one account | JetStream, short history |
"""

from __future__ import annotations

from typing import Any

from libs.common.messages import (
    alert_rules,
    alerts,
    analysis,
    auth,
    auth_oauth,
    auth_people,
    billing,
    gateway,
    house,
    market,
    notifier,
    pricing,
    requests,
    scan,
    scan_people,
    scanner,
    signals,
    trading,
)
from libs.common.messages import billing_payments as payments
from libs.common.messages import trading_extras as extras
from libs.common.messages import trading_orders as orders
from libs.common.principal import Principal
from libs.common.subject_kinds import Command as Command  # noqa: PLC0414
from libs.common.subject_kinds import PartitionCommand as PartitionCommand  # noqa: PLC0414
from libs.common.subject_kinds import Subject as Subject  # noqa: PLC0414
from libs.common.subject_kinds import token as token  # noqa: PLC0414
from libs.common.subject_kinds import untoken as untoken  # noqa: PLC0414

PUSH_STREAM = "PUSH"

# ── every service ─────────────────────────────────────────────────────────────────────────────────


def health_of(service: str) -> Command[house.HealthAsk, house.Health]:
    """The health query every service serves under its own name."""
    return Command(f"{service}.cmd.health.v1", house.HealthAsk, house.Health, timeout_s=1.0)


def again_of(service: str) -> Command[house.FactAgain, house.Done]:
    """The command by which every service handles a fact once more that it gave up."""
    return Command(
        f"{service}.cmd.fact.again.v1", house.FactAgain, house.Done, effect=True, callers=("notifier",)
    )


def outbox_due_of(service: str) -> Subject[house.Done]:
    """Said by a service's processes to the one that relays their outbox: something was committed."""
    return Subject(f"{service}.tick.outbox.v1", house.Done)


# ── market ────────────────────────────────────────────────────────────────────────────────────────

QUOTE = Subject("market.tick.quote.v1.{profile}.{symbol}", market.Quote)
INSTRUMENT_CHANGED = Subject(
    "market.evt.instrument.changed.v1.{symbol}", market.InstrumentChanged, stream="MARKET"
)
GROUP_CHANGED = Subject("market.evt.group.changed.v1.{group}", market.GroupChanged, stream="MARKET")

SYMBOL_PUT = Command("market.cmd.symbol.put.v1", market.SymbolPut, market.Instrument, effect=True)
SYMBOL_LIST = Command(
    "market.cmd.symbol.list.v1",
    market.SymbolList,
    market.Instruments,
    callers=("gateway", "trading", "alerts", "notifier", "scanner"),
)
GROUP_PUT = Command("market.cmd.group.put.v1", market.GroupPut, market.Group, effect=True)
GROUP_LIST = Command(
    "market.cmd.group.list.v1", market.GroupList, market.Groups, callers=("gateway", "trading")
)
GROUP_GET = Command(
    "market.cmd.group.get.v1",
    market.GroupGet,
    market.Group,
    callers=("gateway", "auth", "trading", "alerts"),
)
GROUP_VIEW = Command(
    "market.cmd.group.view.v1",
    market.GroupViewAsk,
    market.GroupView,
    callers=("gateway", "trading", "alerts"),
)
ASSETS = Command("market.cmd.assets.v1", market.AssetsAsk, market.Assets)
SHORT_LIST = Command("market.cmd.short_list.v1", market.AssetsAsk, market.ShortList)
SYMBOL_INFO = Command("market.cmd.symbol.info.v1", market.SymbolAsk, market.AssetInfo)
CANDLES = Command(
    "market.cmd.candles.v1",
    market.CandlesAsk,
    market.CandleTable,
    callers=("gateway", "trading", "alerts"),
)
# Closed bars in bulk, as arrays, and what is new among them: told after the commit, holes show in ``seq``.
BARS_CLOSED = Subject("market.tick.bars.v1", market.BarsClosed)
CANDLES_BULK = Command(
    "market.cmd.candles.bulk.v1",
    market.CandlesBulk,
    bytes,
    callers=("gateway", "scanner", "signals", "alerts"),
    timeout_s=30.0,
)
FORMING = Command(
    "market.cmd.bars.forming.v1", market.FormingAsk, market.Forming, callers=("gateway", "scanner")
)
CANDLES_PUT = Command(
    "market.cmd.candles.put.v1",
    market.CandlesPut,
    house.Done,
    effect=True,
    callers=("gateway", "cli"),
    timeout_s=30.0,
)
QUOTES_PUT = Command("market.cmd.quotes.put.v1", market.QuotesPut, house.Done, effect=True, timeout_s=30.0)
QUOTES_SNAPSHOT = Command(
    "market.cmd.quotes.snapshot.v1",
    market.SnapshotAsk,
    market.Snapshot,
    callers=("gateway", "trading", "alerts", "pricing"),
)
TICKS_SINCE = Command(
    "market.cmd.ticks.since.v1", market.TicksSince, market.Ticks, callers=("gateway", "trading", "alerts")
)
WATCH_LIST = Command("market.cmd.watch.list.v1", market.WatchAsk, market.WatchList)
WATCH_ADD = Command("market.cmd.watch.add.v1", market.WatchAdd, market.WatchAdded, effect=True)
WATCH_UPDATE = Command("market.cmd.watch.update.v1", market.WatchUpdate, house.Done, effect=True)
WATCH_REMOVE = Command("market.cmd.watch.remove.v1", market.WatchRemove, house.Done, effect=True)

# ── auth ──────────────────────────────────────────────────────────────────────────────────────────

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

# ── trading ───────────────────────────────────────────────────────────────────────────────────────

BALANCE_PUSH = Subject("trading.push.balance.v1.{login}", trading.BalanceFrame, stream=PUSH_STREAM)
TRADE_PUSH = Subject("trading.push.trade.v1.{login}", trading.TradeFrame, stream=PUSH_STREAM)

ACCOUNT_OPEN = Command(
    "trading.cmd.account.open.v1",
    trading.AccountOpen,
    trading.AccountState,
    effect=True,
    callers=("gateway", "auth"),
)
ACCOUNT_GET = Command(
    "trading.cmd.account.get.v1", trading.AccountAsk, trading.AccountState, callers=("gateway", "auth")
)
ACCOUNT_ME = Command("trading.cmd.account.me.v1", orders.AccountMeAsk, orders.AccountMe)
ACCOUNT_SYNC = Command("trading.cmd.account.sync.v1", orders.AccountSync, house.Done, effect=True)
BALANCES = Command("trading.cmd.balances.v1", orders.BalancesAsk, orders.Balances)
MARKET_SYNC = Command("trading.cmd.market.sync.v1", orders.MarketSync, house.Done, effect=True)
TRADE_OPEN = Command("trading.cmd.trade.open.v1", orders.TradeOpen, orders.TradeAck, effect=True)
PENDING_OPEN = Command("trading.cmd.pending.open.v1", orders.PendingOpen, orders.TradeAck, effect=True)
TRADE_CLOSE = Command("trading.cmd.trade.close.v1", orders.TradeClose, orders.CloseAck, effect=True)
TRADE_CLOSE_BY = Command("trading.cmd.trade.close_by.v1", orders.TradeCloseBy, orders.CloseBatch, effect=True)
TRADE_CLOSE_GROUP = Command(
    "trading.cmd.trade.close_group.v1", orders.TradeCloseGroup, orders.CloseBatch, effect=True
)
PENDING_CANCEL = Command("trading.cmd.pending.cancel.v1", orders.PendingCancel, orders.TradeAck, effect=True)
PENDING_CANCEL_GROUP = Command(
    "trading.cmd.pending.cancel_group.v1", orders.PendingCancelGroup, orders.CancelBatch, effect=True
)
TRADE_MODIFY = Command("trading.cmd.trade.modify.v1", orders.TradeModify, orders.TradeAck, effect=True)
PENDING_MODIFY = Command("trading.cmd.pending.modify.v1", orders.PendingModify, orders.TradeAck, effect=True)
TRADES = Command("trading.cmd.trades.v1", orders.TradesAsk, orders.TradeTable)
TRADE_HISTORY = Command("trading.cmd.trade.history.v1", orders.HistoryAsk, orders.HistoryTable)
BALANCE_CHANGE = Command(
    "trading.cmd.balance.change.v1", orders.BalanceChange, orders.BalanceAck, effect=True
)
MNG_OPEN = Command("trading.cmd.staff.open.v1", orders.StaffOpenAsk, orders.TradeAck, effect=True)
MNG_CLOSE = Command("trading.cmd.staff.close.v1", orders.StaffCloseAsk, orders.CloseAck, effect=True)
MNG_UPDATE = Command("trading.cmd.staff.update.v1", orders.StaffUpdateAsk, orders.TradeAck, effect=True)
MNG_OPEN_SYNC = Command(
    "trading.cmd.staff.open_sync.v1", orders.StaffOpenAsk, orders.TradeRecord, effect=True, timeout_s=6.0
)
MNG_CLOSE_SYNC = Command(
    "trading.cmd.staff.close_sync.v1", orders.StaffCloseAsk, orders.TradeRecord, effect=True, timeout_s=6.0
)
MNG_UPDATE_SYNC = Command(
    "trading.cmd.staff.update_sync.v1", orders.StaffUpdateAsk, orders.TradeRecord, effect=True, timeout_s=6.0
)
SWAP_CALCULATE = Command("trading.cmd.swap.calculate.v1", orders.SwapAsk, orders.SwapAmount)
ORDER_CHECK = Command("trading.cmd.order.check.v1", extras.OrderCheck, extras.OrderChecked)
TRADE_TRAIL = Command("trading.cmd.trade.trail.v1", extras.TradeTrail, orders.TradeAck, effect=True)
LINKED_OPEN = Command("trading.cmd.pending.linked.v1", extras.LinkedOpen, extras.LinkedAck, effect=True)
LIMITS_GET = Command("trading.cmd.limits.get.v1", extras.LimitsAsk, extras.LimitsView)
LIMITS_PUT = Command("trading.cmd.limits.put.v1", extras.LimitsPut, extras.LimitsView, effect=True)
ACCOUNT_HALT = Command("trading.cmd.account.halt.v1", extras.HaltPut, extras.Halted, effect=True)
HOUSE_HALT_GET = Command("trading.cmd.house.get.v1", extras.HouseHaltAsk, extras.HouseHalted)
HOUSE_HALT = Command(
    "trading.cmd.house.halt.v1", extras.HouseHaltPut, extras.HouseHalted, effect=True, timeout_s=30.0
)
NOTE_PUT = Command("trading.cmd.note.put.v1", extras.NotePut, house.Done, effect=True)
NOTES = Command("trading.cmd.notes.v1", extras.NotesAsk, extras.Table)
FILLS = Command("trading.cmd.fills.v1", extras.FillsAsk, extras.Table)

# ── alerts ────────────────────────────────────────────────────────────────────────────────────────

ALERT_PUSH = Subject("alerts.push.alert.v1.{login}", alerts.AlertFrame, stream=PUSH_STREAM)
ALERT_TRIGGERED = Subject("alerts.evt.alert.triggered.v1.{login}", alerts.AlertTriggered, stream="ALERTS")

ALERT_LIST = Command("alerts.cmd.alert.list.v1", alerts.AlertListAsk, alerts.AlertTable)
ALERT_CREATE = PartitionCommand("alerts.cmd.alert.create.v1", alerts.AlertCreate, alerts.AlertIds)
ALERT_UPDATE = PartitionCommand("alerts.cmd.alert.update.v1", alerts.AlertUpdate, alerts.AlertIds)
ALERT_DELETE = PartitionCommand("alerts.cmd.alert.delete.v1", alerts.AlertDelete, alerts.AlertIds)
ALERT_LOG_LIST = Command("alerts.cmd.log.list.v1", alerts.AlertLogAsk, alerts.AlertLogTable)
ALERT_LOG_DELETE = PartitionCommand("alerts.cmd.log.delete.v1", alerts.AlertLogDelete, alerts.AlertIds)
ALERT_LOG_CLEAR = PartitionCommand("alerts.cmd.log.clear.v1", alerts.AlertLogClear, house.Done)

RULE_LIST = Command("alerts.cmd.rule.list.v1", alert_rules.RuleListAsk, alert_rules.RuleList)
RULE_GET = Command("alerts.cmd.rule.get.v1", alert_rules.RuleAsk, alert_rules.RuleView)
RULE_CREATE = PartitionCommand(
    "alerts.cmd.rule.create.v1", alert_rules.RuleCreate, alert_rules.RuleView, timeout_s=10.0
)
RULE_PUT = PartitionCommand(
    "alerts.cmd.rule.put.v1", alert_rules.RulePut, alert_rules.RuleView, timeout_s=10.0
)
RULE_DELETE = PartitionCommand("alerts.cmd.rule.delete.v1", alert_rules.RuleAsk, house.Done)
RULE_TEST = Command("alerts.cmd.rule.test.v1", alert_rules.RuleTest, alert_rules.RuleTested, timeout_s=30.0)
# Among processes of alerts: an alert is let go before it moves, groups see other prices, facts reach who
# judges their symbol.
ALERT_DETACH = PartitionCommand(
    "alerts.cmd.alert.detach.v1", alerts.AlertDelete, alerts.AlertIds, callers=("alerts",)
)
ALERT_REGROUP = PartitionCommand("alerts.cmd.alert.regroup.v1", house.Done, house.Done, callers=("alerts",))
RULE_FACT = PartitionCommand("alerts.cmd.rule.fact.v1", house.FactAgain, house.Done, callers=("alerts",))
RULE_HITS = Command("alerts.cmd.rule.hits.v1", alert_rules.RuleHitsAsk, alert_rules.RuleHits)

# ── notifier ──────────────────────────────────────────────────────────────────────────────────────

NOTIFICATION_PUSH = Subject(
    "notifier.push.notification.v1.{login}", notifier.NotificationFrame, stream=PUSH_STREAM
)
# Raised by their owners, heard by the notifier: list, push and deliveries follow from the one fact.
AUTH_NOTICE = Subject("auth.evt.notice.raised.v1.{login}", notifier.Notice, stream="AUTH")
TRADING_NOTICE = Subject("trading.evt.notice.raised.v1.{login}", notifier.Notice, stream="TRADING")
ALERTS_NOTICE = Subject("alerts.evt.notice.raised.v1.{login}", notifier.Notice, stream="ALERTS")
SCANNER_NOTICE = Subject("scanner.evt.notice.raised.v1.{login}", notifier.Notice, stream="SCANNER")
MONITOR_HEARD = Subject("scanner.evt.monitor.heard.v1.{person}", scan_people.MonitorHeard, stream="SCANNER")

NOTIFY_LIST = Command("notifier.cmd.notify.list.v1", notifier.NotifyListAsk, notifier.NotifyTable)
NOTIFY_READ = Command("notifier.cmd.notify.read.v1", notifier.NotifyRead, notifier.NotifyMarked, effect=True)
PREFERENCES_GET = Command("notifier.cmd.preferences.get.v1", notifier.PreferencesAsk, notifier.Preferences)
PREFERENCES_PUT = Command(
    "notifier.cmd.preferences.put.v1", notifier.PreferencesPut, notifier.Preferences, effect=True
)
CHANNEL_LIST = Command("notifier.cmd.channel.list.v1", notifier.ChannelsAsk, notifier.Channels)
CHANNEL_BIND = Command(
    "notifier.cmd.channel.bind.v1", notifier.ChannelBind, notifier.ChannelBound, effect=True, timeout_s=15.0
)
CHANNEL_VERIFY = Command(
    "notifier.cmd.channel.verify.v1",
    notifier.ChannelVerify,
    notifier.ChannelBound,
    effect=True,
    timeout_s=15.0,
)
CHANNEL_UNBIND = Command("notifier.cmd.channel.unbind.v1", notifier.ChannelNamed, house.Done, effect=True)
CHANNEL_ROTATE = Command(
    "notifier.cmd.channel.rotate.v1", notifier.ChannelNamed, notifier.ChannelSecret, effect=True
)
MAIL_SEND = Command(
    "notifier.cmd.mail.send.v1",
    notifier.MailSend,
    notifier.MailTaken,
    effect=True,
    callers=("auth", "billing"),
)
DEAD_DELIVERIES = Command("notifier.cmd.deadletter.list.v1", notifier.DeadLettersAsk, notifier.DeadLetters)
DEAD_DELIVERY_RETRY = Command(
    "notifier.cmd.deadletter.retry.v1", notifier.DeadLetterRetry, house.Done, effect=True
)

# ── scanner ───────────────────────────────────────────────────────────────────────────────────────

PATTERN_DETECTED = Subject(
    "scanner.evt.pattern.detected.v1.{timeframe}.{symbol}", scanner.PatternDetected, stream="SCANNER"
)
REGIME_FLIPPED = Subject(
    "scanner.evt.regime.flipped.v1.{timeframe}.{symbol}", scanner.RegimeFlipped, stream="SCANNER"
)
LEVEL_BROKEN = Subject(
    "scanner.evt.level.broken.v1.{timeframe}.{symbol}", scanner.LevelBroken, stream="SCANNER"
)
SIGNAL_RECORDED = Subject(
    "scanner.evt.signal.recorded.v1.{timeframe}.{symbol}", signals.SignalRecorded, stream="SCANNER"
)
RECORD_CLOSED = Subject(
    "scanner.evt.record.closed.v1.{timeframe}.{symbol}", scanner.RecordClosed, stream="SCANNER"
)

BRIEF = Command("scanner.cmd.brief.v1", analysis.BriefAsk, analysis.Brief, timeout_s=15.0)
DELTA = Command("scanner.cmd.delta.v1", analysis.DeltaAsk, analysis.Delta, effect=True)
CODEC_CANDLES = Command("scanner.cmd.candles.v1", analysis.CandlesAsk, analysis.Candles)
ANALOGS = Command("scanner.cmd.analogs.v1", analysis.AnalogsAsk, analysis.Analogs)
MULTI = Command("scanner.cmd.multi.v1", analysis.MultiAsk, analysis.Multi)
SCAN_TABLE = Command("scanner.cmd.table.v1", analysis.ScanTableAsk, analysis.ScanTable, timeout_s=30.0)

# ── billing ───────────────────────────────────────────────────────────────────────────────────────

ADMIT = Command("billing.cmd.call.admit.v1", billing.Admit, billing.Admitted, effect=True, timeout_s=20.0)
CAPTURE = Command(
    "billing.cmd.call.capture.v1", billing.Capture, billing.Captured, effect=True, timeout_s=60.0
)
RELEASE = Command("billing.cmd.call.release.v1", billing.Release, house.Done, effect=True)
CHARGE = Command("billing.cmd.call.charge.v1", billing.Charge, billing.Captured, effect=True)
TERMS = Command("billing.cmd.terms.get.v1", billing.TermsAsk, billing.Terms)
BILLING_BALANCE = Command("billing.cmd.balance.get.v1", billing.BalanceAsk, billing.Balance)
BILLING_USAGE = Command("billing.cmd.usage.get.v1", billing.UsageAsk, billing.Usage)
QUOTA_STATE = Command("billing.cmd.quota.get.v1", billing.QuotaAsk, billing.QuotaState)
CREDITS_ADD = Command("billing.cmd.credits.add.v1", billing.CreditsAdd, billing.CreditsAdded, effect=True)
STARTER_GRANT = Command(
    "billing.cmd.starter.grant.v1", billing.StarterGrant, billing.StarterGranted, effect=True
)
PRICE_LIST = Command("billing.cmd.prices.get.v1", billing.PriceListAsk, billing.PriceList)
TOPUP_X402 = Command(
    "billing.cmd.topup.x402.v1", payments.X402Topup, payments.ToppedUp, effect=True, timeout_s=60.0
)
TOPUP_CARD = Command(
    "billing.cmd.topup.card.v1", payments.CardTopup, payments.CardPage, effect=True, timeout_s=30.0
)
STRIPE_CALLBACK = Command("billing.cmd.callback.stripe.v1", payments.Callback, house.Done, effect=True)
NOWPAYMENTS_CALLBACK = Command(
    "billing.cmd.callback.nowpayments.v1", payments.Callback, house.Done, effect=True
)
PLAN_INVOICE = Command(
    "billing.cmd.plan.invoice.v1", payments.PlanOrder, payments.PlanInvoice, effect=True, timeout_s=30.0
)
PLAN_INVOICE_STATE = Command("billing.cmd.plan.status.v1", payments.PlanInvoiceAsk, payments.PlanInvoiceState)
PLAN_X402 = Command(
    "billing.cmd.plan.x402.v1", payments.X402Plan, payments.PlanBought, effect=True, timeout_s=60.0
)
INVOICES = Command("billing.cmd.invoices.list.v1", payments.InvoicesAsk, payments.Invoices)
INVOICE = Command("billing.cmd.invoice.get.v1", payments.InvoiceAsk, payments.Invoice)
INVOICE_PAGE = Command("billing.cmd.invoice.page.v1", payments.InvoiceAsk, payments.Page)
AFFILIATE_ME = Command("billing.cmd.affiliate.me.v1", payments.AffiliateAsk, payments.AffiliateState)
AFFILIATE_CODES = Command("billing.cmd.affiliate.codes.v1", payments.AffiliateAsk, payments.AffiliateCodes)
AFFILIATE_COMMISSIONS = Command(
    "billing.cmd.affiliate.commissions.v1", payments.CommissionsAsk, payments.Commissions
)
BILLING_PAYMENTS = Command("billing.cmd.payments.list.v1", payments.PaymentsAsk, payments.Payments)
PAYMENT_DECIDE = Command(
    "billing.cmd.payment.decide.v1", payments.PaymentDecide, payments.PaymentView, effect=True
)
PAYOUT = Command("billing.cmd.affiliate.payout.v1", payments.PayoutAsk, payments.Payout, effect=True)

# ── pricing ───────────────────────────────────────────────────────────────────────────────────────

TOKEN_PRICE = Subject("pricing.tick.price.v1.{token}.{symbol}", pricing.PriceTick)
PRICE_BOARD = Subject("pricing.tick.board.v1", pricing.BoardTick)
DEPEGGED = Subject("pricing.evt.token.depegged.v1.{token}", pricing.Depegged, stream="PRICING")

POOLS_PUT = Command(
    "pricing.cmd.pools.put.v1", pricing.PoolsPut, pricing.PoolsTaken, effect=True, timeout_s=30.0
)
TOKEN_PRICES = Command(
    "pricing.cmd.price.list.v1", pricing.PriceListAsk, pricing.PriceList, callers=("gateway", "scanner")
)
TOKEN_PRICE_GET = Command("pricing.cmd.price.get.v1", pricing.PriceAsk, pricing.OnePrice)
TOKEN_HISTORY = Command("pricing.cmd.price.history.v1", pricing.HistoryAsk, pricing.Envelope)
TOKEN_QUOTE = Command("pricing.cmd.token.quote.v1", pricing.TokenQuoteAsk, pricing.Envelope)
TOKEN_LIQUIDITY = Command("pricing.cmd.token.liquidity.v1", pricing.PriceAsk, pricing.Envelope)
ANCHOR_PRICE = Command("pricing.cmd.anchor.get.v1", pricing.OracleAsk, pricing.Envelope)
TOKEN_PRICE_HEALTH = Command("pricing.cmd.price.health.v1", pricing.PriceHealthAsk, pricing.Envelope)
TOKEN_PRICE_FRAMES = Command("pricing.cmd.price.frames.v1", pricing.PriceFramesAsk, pricing.PriceFrames)

# Feeds are kept by the scanner; this only wakes the sockets that are open.
FEED_TOLD = Subject("scanner.tick.feed.v1.{person}", scan_people.FeedFrame)

SCAN = Command("scanner.cmd.scan.v1", scan.ScanAsk, scan.ScanView, timeout_s=10.0)
PATTERN_LIST = Command("scanner.cmd.pattern.list.v1", scan.PatternsAsk, scan.PatternList)
PATTERN_GET = Command("scanner.cmd.pattern.get.v1", scan.PatternAsk, scan.PatternView)
PATTERN_PERFORMANCE = Command(
    "scanner.cmd.pattern.performance.v1", scan.PerformanceAsk, scan.PerformanceView, timeout_s=15.0
)
RECORD_LIST = Command("scanner.cmd.record.list.v1", scan.RecordsAsk, scan.RecordPage)
RECORD_SHOWCASE = Command("scanner.cmd.record.showcase.v1", scan.ShowcaseAsk, scan.Showcase)
RECORD_GET = Command("scanner.cmd.record.get.v1", scan.RecordAsk, scan.RecordView)
WATCHLISTS = Command("scanner.cmd.watchlist.list.v1", scan.PersonAsk, scan.WatchlistsView)
WATCHLIST_PUT = Command("scanner.cmd.watchlist.put.v1", scan.WatchlistPut, scan.WatchlistView, effect=True)
WATCHLIST_REMOVE = Command("scanner.cmd.watchlist.remove.v1", scan.WatchlistRemove, house.Done, effect=True)
SCAN_STATUS = Command("scanner.cmd.status.v1", scan.StatusAsk, scan.StatusView)
CAPABILITIES = Command("scanner.cmd.capabilities.v1", scan.CapabilitiesAsk, scan.Capabilities)
SYMBOL_SEARCH = Command("scanner.cmd.symbol.search.v1", scan.SymbolSearch, scan.SymbolPage)
SYMBOL_RESOLVE = Command("scanner.cmd.symbol.resolve.v1", scan.SymbolResolve, scan.SymbolView)
CONTEXT_LIST = Command("scanner.cmd.context.list.v1", scan.ContextsAsk, scan.ContextPage)
CONTEXT_GET = Command("scanner.cmd.context.get.v1", scan.ContextAsk, scan.ContextView)
CONTEXT_INSPECT = Command("scanner.cmd.context.inspect.v1", scan.ContextAsk, scan.Inspection)
CONTEXT_MANIFEST = Command("scanner.cmd.context.manifest.v1", scan.ContextAsk, scan.ManifestView)
CONTEXT_OHLCV = Command("scanner.cmd.context.ohlcv.v1", scan.ContextAsk, scan.OhlcvView)
# The reply is a PNG, no JSON.
CONTEXT_CHART = Command("scanner.cmd.context.chart.v1", scan.ChartAsk, bytes, timeout_s=15.0)
CONDITION_CHECK = Command("scanner.cmd.condition.check.v1", scan.ConditionAsk, scan.ConditionView)
CONFIRM_VISUAL = Command("scanner.cmd.context.confirm.v1", scan.ConfirmAsk, scan.Confirmed, effect=True)
ASSET_REGISTRY_PUT = Command("scanner.cmd.asset.put.v1", signals.AssetsPut, signals.AssetsTaken, effect=True)
ASSET_REGISTRY = Command("scanner.cmd.asset.list.v1", signals.RegistryAsk, signals.Registry)
SIGNAL_BACKFILL = Command(
    "scanner.cmd.signal.backfill.v1", signals.BackfillAsk, signals.Backfilled, effect=True, timeout_s=120.0
)
# The record is the scanner's; this only wakes who follows it.
SIGNALS_GREW = Subject("scanner.tick.signals.v1", signals.SignalsGrew)
SIGNAL_TEXTS = Command("scanner.cmd.signal.texts.v1", signals.TextsCall, signals.TextsTaken, effect=True)
SIGNAL_LIST = Command("scanner.cmd.signal.list.v1", signals.SignalsAsk, signals.RawDetails, timeout_s=10.0)
SIGNAL_FOLLOW = Command("scanner.cmd.signal.follow.v1", signals.FollowAsk, signals.Followed, timeout_s=10.0)
SIGNAL_GET = Command("scanner.cmd.signal.get.v1", signals.SignalAsk, signals.RawSignal)
SIGNAL_NAMES = Command("scanner.cmd.signal.names.v1", signals.NamesAsk, signals.NamedIds)
SIGNAL_PERFORMANCE = Command(
    "scanner.cmd.signal.performance.v1", signals.OutcomesAsk, signals.SignalPerformance, timeout_s=30.0
)
SIGNAL_BULLISHNESS = Command("scanner.cmd.signal.bullishness.v1", signals.BullishnessAsk, signals.Bullishness)
MONITOR_MAKE = Command(
    "scanner.cmd.monitor.make.v1", scan_people.MonitorMake, scan_people.MonitorView, effect=True
)
MONITOR_LIST = Command("scanner.cmd.monitor.list.v1", scan.PersonAsk, scan_people.MonitorsView)
MONITOR_SET = Command(
    "scanner.cmd.monitor.set.v1", scan_people.MonitorChange, scan_people.MonitorView, effect=True
)
MONITOR_REMOVE = Command("scanner.cmd.monitor.remove.v1", scan_people.MonitorChange, house.Done, effect=True)
FEED_LIST = Command("scanner.cmd.feed.list.v1", scan_people.FeedAsk, scan_people.FeedPage)
FEED_ACK = Command("scanner.cmd.feed.ack.v1", scan_people.FeedAck, scan_people.FeedAcked, effect=True)
SCAN_USAGE = Command("scanner.cmd.usage.get.v1", scan_people.UsageAsk, scan_people.UsageView)
TIMEZONE_GET = Command("scanner.cmd.timezone.get.v1", scan.PersonAsk, scan_people.TimezoneView)
TIMEZONE_PUT = Command(
    "scanner.cmd.timezone.put.v1", scan_people.TimezonePut, scan_people.TimezoneView, effect=True
)

# ── gateway ───────────────────────────────────────────────────────────────────────────────────────

# Said by gateway processes to one another: machines there are, what one counts for all, calls taken back.
MACHINE_ALIVE = Subject("gateway.tick.machine.v1", gateway.MachineAlive)
CALL_TAKEN_BACK = Subject("gateway.tick.call.v1", gateway.CallTakenBack)
LIMIT_COUNT = Command(
    "gateway.cmd.limit.count.v1",
    gateway.LimitCount,
    gateway.LimitCounted,
    timeout_s=0.25,
    partitioned=True,
)

# ── the registry, read by permissions, docs and tests ─────────────────────────────────────────────

SUBJECTS: tuple[Subject[Any], ...] = tuple(v for v in globals().values() if isinstance(v, Subject))
COMMANDS: tuple[Command[Any, Any], ...] = tuple(v for v in globals().values() if isinstance(v, Command))


def account_pushes(login: int) -> str:
    """The subscription that hears every push for one account, whoever sends it."""
    return f"*.push.*.v1.{token(login)}"
