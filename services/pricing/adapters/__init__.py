"""Outsiders: one file each, behind the protocols of ``sources``."""
