"""Demonstrations: a house of their own and what they need beside it. Nothing here is part of the house."""
