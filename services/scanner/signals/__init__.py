"""Signals: dated statements about observed data, computed from closed bars, stored and never rewritten."""
