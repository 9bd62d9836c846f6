"""What the notifier says and is asked: notifications, channels, mails, what was given up."""

from __future__ import annotations

from libs.common.messages import house, notifier
from libs.common.subjects.kinds import PUSH_STREAM, Command, Subject

NOTIFICATION_PUSH = Subject(
    "notifier.push.notification.v1.{login}", notifier.NotificationFrame, stream=PUSH_STREAM
)

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
