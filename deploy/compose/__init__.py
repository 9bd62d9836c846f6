"""The house as containers."""
