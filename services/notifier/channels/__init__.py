"""The outsiders the notifier speaks to, one file each, behind ``base.Channel``."""
