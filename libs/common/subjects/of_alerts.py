"""What alerts says and is asked: price alerts and rules."""

from __future__ import annotations

from libs.common.messages import alert_rules, alerts, house, notifier
from libs.common.subjects.kinds import PUSH_STREAM, Command, PartitionCommand, Subject

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
ALERTS_NOTICE = Subject("alerts.evt.notice.raised.v1.{login}", notifier.Notice, stream="ALERTS")
