"""``NATS_URL``: ``nats://user:password@host:4222``, or ``tls://…?ca=FILE`` for an encrypted connection."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qs, urlsplit, urlunsplit

from libs.common.errors import ConfigInvalid


def server_and_tls(url: str) -> tuple[str, ssl.SSLContext | None]:
    """The address without our parameters, and the TLS to use: None for ``nats://``.

    ``ca`` names a file of certificates to trust instead of the system's; the host must be the
    certificate's. ConfigInvalid when the file can't be used.
    """
    parts = urlsplit(url)
    if parts.scheme != "tls":
        return url, None
    authority = parse_qs(parts.query).get("ca", [None])[0]
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as e:
        raise ConfigInvalid(f"NATS_URL names a ca that can't be used: {authority}: {e}") from e
    return urlunsplit(parts._replace(query="")), context
