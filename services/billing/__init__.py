"""Tiers, quotas, credits, metering, payments, plans, affiliates: see README.md."""
