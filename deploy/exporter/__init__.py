"""Metrics of what the house stands on: PostgreSQL, NATS and the processes of a stack."""
