"""Strangers' clients and suites against the agents' door."""
