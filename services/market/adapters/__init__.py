"""Feeds: one file each, all behind ``services.market.feed.Feed``."""
