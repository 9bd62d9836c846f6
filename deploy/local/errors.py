"""What stops a start: always one line, with the remedy."""

from __future__ import annotations

EXIT_REFUSED = 78
"""``EX_CONFIG`` of sysexits.h: wrong surroundings, so trying again is no use."""


class StartRefused(Exception):
    """The stack can't start as things are. The message is one line: what, where, and the remedy."""


class PortTaken(StartRefused):
    """A chosen port was taken before the server could bind it; another one helps."""
