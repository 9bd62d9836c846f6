"""Alerts: price alerts and their log."""
