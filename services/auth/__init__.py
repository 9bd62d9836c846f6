"""Auth: people, trading-account credentials, staff, sessions, keys, and the audit chain."""
