"""What trading says and is asked: accounts, orders, trades, limits."""

from __future__ import annotations

from libs.common.messages import house, notifier, trading
from libs.common.messages import trading_extras as extras
from libs.common.messages import trading_orders as orders
from libs.common.subjects.kinds import PUSH_STREAM, Command, Subject

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
TRADING_NOTICE = Subject("trading.evt.notice.raised.v1.{login}", notifier.Notice, stream="TRADING")
