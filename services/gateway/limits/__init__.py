"""Limits that are exact across every gateway process of a machine, and across machines."""
