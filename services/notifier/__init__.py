"""Notifier: notifications, where their owners want them."""
