"""Configuration: every setting of the house in one registry, read from the environment once.

Each service reads its part into a frozen struct whose field names are the settings in lower case
(``TRADEWIND_FEED`` → ``feed``). A ``TRADEWIND_*`` name that is in no part stops the start and shows
the nearest known one. ``python -m services.<name> check-config`` runs the same function.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from libs.common.errors import ConfigInvalid

PREFIX = "TRADEWIND_"
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Setting:
    """A name operators rely on: what it does, its default as text, whether it must stay secret.

    ``only`` names the one service the local stack tells a secret to; empty: every process.
    """

    meaning: str
    default: str = ""
    secret: bool = False
    only: str = ""


SETTINGS: dict[str, Setting] = {
    "HTTP_PORT": Setting("port of HTTP and WebSocket", "8080"),
    "HTTP_HOST": Setting("address the port listens on", "127.0.0.1"),
    "DATA_DIR": Setting("folder of everything the stack keeps", ".data"),
    "SERVICES": Setting("comma-separated services this stack runs; empty is all"),
    "FEED": Setting(
        "source of quotes: synthetic, replay:FILE[?speed=X|max], manual, binance, kraken, ccxt:EXCHANGE",
        "synthetic",
    ),
    "SEED": Setting("seed of the synthetic market", "1"),
    "SYNTHETIC_TICKS_PER_S": Setting("ticks per second and symbol of the synthetic market", "2"),
    "BINANCE_WS_URL": Setting("Binance stream address", "wss://stream.binance.com:9443"),
    "BINANCE_REST_URL": Setting("Binance REST address", "https://api.binance.com"),
    "KRAKEN_WS_URL": Setting("Kraken stream address", "wss://ws.kraken.com/v2"),
    "ADMIN_PASSWORD": Setting(
        "password of staff login 1 at the first start; empty prints a random one", "", True, "auth"
    ),
    "SECRET_KEY": Setting(
        "key that encrypts signing keys at rest; empty uses a file in the data folder", "", True, "auth"
    ),
    "SIGNUP": Setting("whether people may sign up by themselves: on or off", "on"),
    "SIGNUP_GROUPS": Setting("comma-separated groups a sign-up may name; the first is the default", "demo"),
    "ALERTS_PER_ACCOUNT": Setting("price alerts an account may have", "10000"),
    "RULES_PER_ACCOUNT": Setting("alert rules an account may have", "500"),
    "ALERTS_PARTITIONS": Setting("partitions that processes of alerts share among them, 1 to 16", "1"),
    "ALERTS_PROCESSES": Setting("processes of alerts; they share its partitions, or stand in", "1"),
    "GATEWAY_PROCESSES": Setting("gateway processes that share the port", "1"),
    "PROCESS_INDEX": Setting("index of this process among its service's processes", "0"),
    "METRICS_PORT": Setting("port of a service's own metrics and probes; 0 takes a free one", "0"),
    "METRICS_HOST": Setting("address the metrics port listens on", "127.0.0.1"),
    "LOG_LEVEL": Setting("lowest level that is logged: DEBUG, INFO, WARNING, ERROR", "INFO"),
    "PUBLIC_URL": Setting("address clients use, when it is not the one we listen on"),
    "TRUSTED_PROXIES": Setting("comma-separated networks whose X-Forwarded-For counts"),
    "TRACE_SAMPLE": Setting("share of requests and triggers whose every step is logged, 0 to 1", "0.01"),
    "TLS_DIR": Setting("folder with tls.crt and tls.key; empty serves plain HTTP"),
    "GEO_HEADER": Setting("header with the caller's country, believed from trusted proxies only"),
    "GEO_BLOCK": Setting("comma-separated countries that are refused", "US"),
    "METERING": Setting(
        "whether calls cost what the plans say and use up quotas: on, or off (billing is not asked)",
        "on",
    ),
    "PLANS_FILE": Setting("file of prices, tiers and limits; empty uses the built-in ones"),
    "X402_PAY_TO": Setting("address that receives x402 payments; empty switches them off"),
    "X402_FACILITATOR_URL": Setting("x402 facilitator", "https://x402.org/facilitator"),
    "X402_NETWORK": Setting("x402 network", "base"),
    "STRIPE_SECRET_KEY": Setting("Stripe API key; empty switches Stripe off", "", True, "billing"),
    "STRIPE_WEBHOOK_SECRET": Setting("secret of Stripe's webhook signatures", "", True, "billing"),
    "STRIPE_API_URL": Setting("Stripe API address", "https://api.stripe.com"),
    "NOWPAYMENTS_API_KEY": Setting("NOWPayments API key; empty switches it off", "", True, "billing"),
    "NOWPAYMENTS_API_URL": Setting("NOWPayments API address", "https://api.nowpayments.io"),
    "NOWPAYMENTS_IPN_SECRET": Setting("secret of NOWPayments' callback signatures", "", True, "billing"),
    "LIQUIDITY_MODE": Setting("liquidity of a pool in token prices: usd or legacy", "usd"),
    "POOLS": Setting(
        "source of the token graph: a file or URL of pools in the form of PUT /admin/pools, or "
        "geckoterminal:NETWORK:POOL,POOL…; empty takes the sample under the synthetic feed"
    ),
    "POOLS_POLL_S": Setting("seconds between two looks at the source of pools", "30"),
    "PATH_TOKENS_MAX": Setting("tokens of the longest path a price may come through, 2 to 6", "4"),
    "UNIQUE_POOLS": Setting(
        "on counts a pool that several paths of a token share once in its price's confidence", "off"
    ),
    "FEE_AWARE": Setting("on takes each pool's fee off the rates of token prices", "off"),
    "ANCHOR_TOKEN": Setting("token id prices are counted in; empty is the one of the sample"),
    "ANCHOR_SOURCES": Setting(
        "comma-separated sources of the anchor's price: market, coingecko, kraken, binance; empty is market, "
        "under live feeds all"
    ),
    "ANCHOR_SYMBOLS": Setting(
        "comma-separated symbols of our own quotes that price the anchor", "BTCUSD,BTC/USDT"
    ),
    "ANCHOR_POLL_S": Setting("seconds between two looks at the sources of the anchor's price", "10"),
    "STABLE_TOKENS": Setting("comma-separated token ids that are stablecoins whatever they are called"),
    "UNSTABLE_TOKENS": Setting("comma-separated token ids that are no stablecoins whatever they are called"),
    "COINGECKO_URL": Setting("CoinGecko API address", "https://api.coingecko.com/api/v3"),
    "GECKOTERMINAL_URL": Setting("GeckoTerminal API address", "https://api.geckoterminal.com/api/v2"),
    "KRAKEN_REST_URL": Setting("Kraken REST address", "https://api.kraken.com"),
    "SMTP_URL": Setting(
        "mail server, smtp://user:password@host:port; empty logs mail instead", "", True, "notifier"
    ),
    "MAIL_FROM": Setting("sender of mails", "Tradewind <tradewind@localhost>"),
    "TELEGRAM_BOT_TOKEN": Setting("Telegram bot token; empty switches the channel off", "", True, "notifier"),
    "TELEGRAM_API_URL": Setting("Telegram Bot API address", "https://api.telegram.org"),
    "DISCORD_API_URL": Setting("Discord API address", "https://discord.com/api"),
    "SLACK_API_URL": Setting("address of Slack's incoming webhooks", "https://hooks.slack.com"),
    "X_API_URL": Setting("X API address", "https://api.x.com"),
    "X_CREDENTIALS": Setting(
        "consumer_key:consumer_secret:access_token:access_secret of the X account that sends; empty switches "
        "the channel off",
        "",
        True,
        "notifier",
    ),
    "NTFY_URL": Setting("ntfy server of topics that name none", "https://ntfy.sh"),
    "APPRISE_SCHEMES": Setting(
        "comma-separated Apprise schemes people may bind, say pover,pbul (needs the extra notify); empty "
        "switches the channel off"
    ),
    "NOTIFY_KEY": Setting(
        "key that seals addresses of people and makes webhook secrets; empty uses a file in the data folder",
        "",
        True,
        "notifier",
    ),
    "NOTIFY_ALLOW_PRIVATE": Setting(
        "for tests only: on lets webhooks reach private and loopback addresses and plain HTTP", "off"
    ),
    "CLIENTS_ALLOW_PRIVATE": Setting(
        "for tests only: on lets the metadata of OAuth clients stand on private and loopback addresses", "off"
    ),
    "LLM_URL": Setting(
        "OpenAI-compatible address (…/v1) that may reword signals' titles and summaries; empty: off"
    ),
    "LLM_MODEL": Setting("model asked there", "default"),
    "LLM_KEY": Setting("key sent there as Bearer; empty sends none", "", True, "scanner"),
    "LLM_CALLS_PER_HOUR": Setting("calls made there in an hour at most; beyond them templates stand", "60"),
    "ASSETS_FILE": Setting("JSON file of assets for the signals surface, as `PUT /admin/assets` takes them"),
    "TEXTS_DIR": Setting("folder of *.jsonl files with texts that signals take into account; empty: none"),
    "TEXTS_FEEDS": Setting(
        "comma-separated https addresses of RSS or Atom feeds that signals count; empty: none"
    ),
    "TEXTS_POLL_S": Setting("seconds between two looks at a feed, 30 at least", "300"),
    "TEXTS_SECRET": Setting(
        "secret (whsec_…) of who may send texts to POST /ai-signal/texts; empty closes it",
        "",
        True,
        "scanner",
    ),
    "TEXTS_ALLOW_PRIVATE": Setting(
        "for tests only: on lets feeds lie at private and loopback addresses and plain HTTP", "off"
    ),
    "SIGNALS_METERED": Setting("whether the signals surface costs credits: on or off", "on"),
    "SCANNER_TIMEFRAMES": Setting(
        "comma-separated timeframes the scanner follows", "1m,5m,15m,30m,1h,4h,1d,1w,1M"
    ),
    "SCANNER_BACKFILL_BARS": Setting(
        "bars of history the scanner judges when it first sees a symbol (of the synthetic market 100)", "5000"
    ),
    "SCANNER_RECORD_DAYS": Setting("days the scanner keeps closed records and feed events", "90"),
    "SCAN_PRO_ONLY": Setting("whether scans need the Pro tier: on or off", "off"),
}

# Settings with the same name in every program, without our prefix.
PLAIN = ("DATABASE_URL", "NATS_URL")
# Addresses with passwords and secret settings may stand in files: DATABASE_URL_FILE=/run/secrets/x.
_FILE = "_FILE"


class ProcessConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What every process reads."""

    nats_url: str
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"
    log_level: str = "INFO"
    trace_sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    process_index: int = 0


class ServiceConfig(ProcessConfig, frozen=True, kw_only=True):
    """What every service with a schema reads. Its own Config inherits from it and adds its part."""

    database_url: str


def check_environment(environ: Mapping[str, str]) -> None:
    """Refuse a ``TRADEWIND_*`` name nobody reads, showing the nearest known one."""
    for name in environ:
        if not name.startswith(PREFIX):
            continue
        short = name.removeprefix(PREFIX)
        if short in SETTINGS or _of_file(short) in SETTINGS:
            continue
        near = difflib.get_close_matches(short, SETTINGS, n=1, cutoff=0.0)
        raise ConfigInvalid(f"{name} is not a setting; did you mean {PREFIX}{near[0]}?")


def load(config: type[C], environ: Mapping[str, str]) -> C:
    """Read ``config``'s fields from the environment; ConfigInvalid says what is wrong in one line."""
    check_environment(environ)
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(config):  # type: ignore[arg-type]
        name = field.name.upper()
        full = name if name in PLAIN else PREFIX + name
        if name not in PLAIN and name not in SETTINGS:
            raise ConfigInvalid(f"{full} is read by the program but is not in the registry of settings")
        value = environ.get(full, "") or _from_file(f"{full}{_FILE}", environ)
        if value == "" and name in SETTINGS:
            value = SETTINGS[name].default
        if value == "" and field.required:
            raise ConfigInvalid(f"{full} is missing: {_meaning(name)}")
        if value != "":
            given[field.name] = value
    try:
        return msgspec.convert(given, type=config, strict=False)
    except msgspec.ValidationError as e:
        path = str(e).rpartition("$.")[2].strip("`")
        full = path.upper() if path.upper() in PLAIN else PREFIX + path.upper()
        reason = str(e).partition(" - at")[0]
        raise ConfigInvalid(f"{full} can't be used: {reason}") from e


def _of_file(short: str) -> str:
    """The setting whose secret value a ``…_FILE`` name brings; empty when it is none."""
    name = short.removesuffix(_FILE)
    return name if name != short and name in SETTINGS and SETTINGS[name].secret else ""


def _from_file(name: str, environ: Mapping[str, str]) -> str:
    """What stands in the file that ``name`` names, without the line's end; empty without such a name."""
    path = environ.get(name, "")
    if not path or not (name.removesuffix(_FILE) in PLAIN or _of_file(name.removeprefix(PREFIX))):
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigInvalid(f"{name} {path} can't be read: {e}") from e


def _meaning(name: str) -> str:
    if name in SETTINGS:
        return SETTINGS[name].meaning
    return {"DATABASE_URL": "the PostgreSQL to use", "NATS_URL": "the NATS server to use"}[name]
