"""Market: feeds, instruments, groups, quotes, candles and watch lists."""
