"""Doubles and contract suites shipped by the library that owns the interface."""
