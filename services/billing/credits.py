"""Credit that nobody paid for: the starter credit of a new e-mail, play money of test keys, staff's acts."""

from __future__ import annotations

import asyncio
from ipaddress import IPv6Address, ip_address, ip_network

from libs.common.bus import Bus
from libs.common.db import Connection
from libs.common.errors import InvalidData, RemoteError
from libs.common.messages import billing as m
from libs.common.messages.auth import PersonName
from libs.common.subjects import PERSON_FIND
from services.billing import ledger, metrics
from services.billing.errors import BalanceTooHigh, BalanceTooLow, WalletUnknown
from services.billing.ledger import CREDIT_MICROS
from services.billing.meter import day_of
from services.billing.store import Key
from services.billing.writer import Ground

DELTA_MICROS_MAX = 10**15
BALANCE_MICROS_MAX = 10**18  # staff's acts stop far from what a column holds
FACT_S = 2.0
WALLET_EMAIL = "@wallet.x402.invalid"  # of keys made for a paying wallet: nobody to give a starter credit to


class Credits:
    """Grants and staff's acts."""

    def __init__(self, ground: Ground, bus: Bus) -> None:
        self._ground = ground
        self._bus = bus
        self._awaited: dict[str, asyncio.Future[int]] = {}

    async def asked(self, ask: m.StarterGrant) -> int:
        """What a door asks for a key that was just made. A person's key comes without its e-mail: the fact
        says that, so it is waited for."""
        if ask.person_id is None or ask.mode == "test":
            return await self.key_made(ask)
        heard = self._awaited.setdefault(ask.key_id, asyncio.get_running_loop().create_future())
        try:
            async with self._ground.database.connection() as db:
                known = await self._ground.store.key(db, ask.key_id)
            if known is not None:
                return known.granted_micros
            async with asyncio.timeout(FACT_S):
                return await asyncio.shield(heard)
        except TimeoutError:
            return 0
        finally:
            self._awaited.pop(ask.key_id, None)

    async def key_made(self, ask: m.StarterGrant) -> int:
        """Remember a new key, and give what it starts with, once; the micros. By command or by fact."""
        ground = self._ground
        async with ground.database.transaction() as tx:
            known = await ground.store.key(tx, ask.key_id)
            if known is not None:
                return known.granted_micros
            await ground.store.lock_starters(tx, ask.email_key or ask.key_id, _place(ask.address))
            known = await ground.store.key(tx, ask.key_id)  # the fact and the command may race
            if known is not None:
                return known.granted_micros
            micros = await self._give(tx, ask)
            key = Key(ask.key_id, wallet_of_key(ask), ask.person_id, ask.mode, micros)
            await ground.store.add_key(tx, key, ask.issued_ms or ground.clock.now_ms())
        if micros:
            metrics.granted.inc()
        waiting = self._awaited.get(ask.key_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(micros)
        return micros

    async def _give(self, tx: Connection, ask: m.StarterGrant) -> int:
        ground = self._ground
        rules, now_ms = ground.plans.now().starter, ground.clock.now_ms()
        wallet, version = wallet_of_key(ask), ground.plans.version
        if ask.mode == "test":
            entry = ledger.play_money(ask.key_id, wallet, rules.test_micros)
            await ground.store.post(tx, entry, now_ms=now_ms, plans=version)
            return rules.test_micros
        who = ask.email_key or ask.key_id
        place, day = _place(ask.address), day_of(now_ms)
        if ask.email_key.endswith(WALLET_EMAIL):
            return 0
        if not rules.micros or await ground.store.starter_given(tx, who):
            return 0
        if place and await ground.store.starters_of_address(tx, place, day) >= rules.per_address_and_day:
            return 0
        await ground.store.add_starter(tx, who, wallet, rules.micros, now_ms)
        if place:
            await ground.store.count_starter(tx, place, day)
        await ground.store.post(tx, ledger.starter(who, wallet, rules.micros), now_ms=now_ms, plans=version)
        return rules.micros

    async def add(self, ask: m.CreditsAdd) -> m.CreditsAdded:
        """Staff gives or takes; BalanceTooLow when there is less to take, WalletUnknown for nobody's."""
        delta = _delta(ask)
        wallet = await self._wallet(ask)
        ground = self._ground
        ref = ask.ref or ground.ids.event_id()
        note = f"{ask.actor}: {ask.reason}"
        async with ground.database.transaction() as tx:
            before = await ground.store.open_wallet(tx, wallet)
            if before.available_micros + delta < 0:
                raise BalanceTooLow(f"the wallet has {before.available_micros} micros")
            if before.balance_micros + delta > BALANCE_MICROS_MAX:
                raise BalanceTooHigh(f"a wallet holds at most {BALANCE_MICROS_MAX} micros")
            entry = ledger.staff(ref, wallet, delta, note)
            await ground.store.post(tx, entry, now_ms=ground.clock.now_ms(), plans=ground.plans.version)
            after = await ground.store.wallet(tx, wallet)
        return m.CreditsAdded(wallet=wallet, delta_micros=delta, balance_micros=after.available_micros)

    async def _wallet(self, ask: m.CreditsAdd) -> str:
        if (ask.key_id is None) == (ask.customer_id is None):
            raise InvalidData("one of keyId and customerId is needed", field="keyId")
        if ask.key_id is not None:
            async with self._ground.database.connection() as db:
                key = await self._ground.store.key(db, ask.key_id)
            if key is None:
                raise WalletUnknown(f"there is no key {ask.key_id}")
            return key.wallet
        try:
            await self._bus.request(PERSON_FIND, PersonName(customer_id=ask.customer_id))
        except RemoteError as e:
            if e.http_status == 404:
                raise WalletUnknown(f"there is no customer {ask.customer_id}") from e
            raise
        return f"person:{ask.customer_id}"


def wallet_of_key(ask: m.StarterGrant) -> str:
    """Which wallet a key draws on: its person's, or its own; a test key always its own."""
    if ask.mode == "test":
        return f"test:{ask.key_id}"
    return f"person:{ask.person_id}" if ask.person_id is not None else f"key:{ask.key_id}"


def _delta(ask: m.CreditsAdd) -> int:
    if (ask.delta_micros is None) == (ask.delta_credits is None):
        raise InvalidData("one of deltaMicros and deltaCredits is needed", field="deltaMicros")
    delta = ask.delta_micros if ask.delta_micros is not None else (ask.delta_credits or 0) * CREDIT_MICROS
    if not delta or abs(delta) > DELTA_MICROS_MAX:
        raise InvalidData("the delta is out of range", field="deltaMicros")
    return delta


def _place(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
