"""Market orders as one would write them first: lock the account's row, check, write, commit, per order.

It answers the same message under a subject of its own, on the same PostgreSQL. Its check is one line of
arithmetic, and it publishes nothing: only what must be durable is done (order, account, two outbox rows).
"""

from __future__ import annotations

import time
from typing import Any

import asyncpg
import uvloop

from bench.children import answer_lines, read_line, write_line
from libs.common import bus_nats
from libs.common.bus import Call, encode
from libs.common.errors import AppError
from libs.common.messages.trading_orders import TradeAck, TradeOpen
from libs.common.subjects import Command

NAIVE_OPEN = Command("bench.cmd.trade.open.v1", TradeOpen, TradeAck, effect=True)
CONNECTIONS = 16
LEVERAGE, CONTRACT, BID, ASK = 100, 100_000, 110_000, 110_010

SCHEMA = """
CREATE SCHEMA naive;
CREATE TABLE naive.account (
    login bigint PRIMARY KEY, balance_minor bigint NOT NULL, credit_minor bigint NOT NULL DEFAULT 0,
    margin_minor bigint NOT NULL DEFAULT 0, profit_minor bigint NOT NULL DEFAULT 0
);
CREATE TABLE naive.trade (LIKE trading.trade INCLUDING ALL);
CREATE SEQUENCE naive.order_number;
CREATE TABLE naive.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL UNIQUE, subject text NOT NULL,
    payload bytea NOT NULL, published_at timestamptz
);
"""
LOCK = """
SELECT balance_minor + credit_minor + profit_minor - margin_minor AS free_minor
  FROM naive.account WHERE login = $1 FOR UPDATE
"""
INSERT = """
INSERT INTO naive.trade
       ("order", login, symbol, digits, cmd, state, volume, open_ms, open_points, margin_minor)
VALUES (nextval('naive.order_number'), $1, $2, 5, $3, 0, $4, $5, $6, $7) RETURNING "order"
"""
UPDATE = "UPDATE naive.account SET margin_minor = margin_minor + $2 WHERE login = $1"
OUTBOX = """
INSERT INTO naive.outbox (event_id, subject, payload)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
"""


class NoMoney(AppError):
    """There is not enough free margin."""

    code = "RET_TRADE_NO_MONEY"
    http_status = 409


async def serve(config: dict[str, Any]) -> None:
    """Make the tables and the accounts, then answer."""
    pool = await asyncpg.create_pool(config["dsn"], min_size=CONNECTIONS, max_size=CONNECTIONS)
    await pool.execute(SCHEMA)
    rows = [(login, 10**15) for login in config["logins"]]
    await pool.copy_records_to_table(
        "account", schema_name="naive", columns=["login", "balance_minor"], records=rows
    )
    bus = await bus_nats.connect(config["nats_url"], "bench-naive")

    async def handle(ask: TradeOpen, call: Call) -> TradeAck:
        async with pool.acquire() as connection, connection.transaction():
            free_minor = await connection.fetchval(LOCK, ask.login)
            margin = ask.volume * CONTRACT * ASK // (LEVERAGE * 100_000)
            if free_minor < margin:
                raise NoMoney
            now_ms = time.time_ns() // 1_000_000
            price = ASK if ask.cmd == 0 else BID
            order = await connection.fetchval(
                INSERT, ask.login, ask.symbol, ask.cmd, ask.volume, now_ms, price, margin
            )
            await connection.execute(UPDATE, ask.login, margin)
            ack = TradeAck(
                order=order, state=1, login=ask.login, symbol=ask.symbol, cmd=ask.cmd, volume=ask.volume
            )
            frame = encode(ack)
            names = [f"trading.push.{kind}.v1.{ask.login}" for kind in ("trade", "balance")]
            await connection.execute(OUTBOX, [f"{order}o", f"{order}b"], names, [frame, frame])
        return ack

    await bus.serve(NAIVE_OPEN, handle)
    write_line({})

    async def wait(asked: Any) -> dict[str, Any]:
        return {}

    await answer_lines(wait)


if __name__ == "__main__":
    uvloop.run(serve(read_line()))
