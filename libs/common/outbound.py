"""The only way out over HTTP.

``to_anywhere`` calls an address somebody gave: its host is resolved once, every answer is judged
(``addresses.py``), and the connection goes to exactly the addresses that were judged, because the resolver
the HTTP client asks knows nothing else. ``to_service`` calls an address the operator set.

Never: a redirect, a proxy or a netrc of the environment, a cookie, a compressed answer; more than 64 KB of
one or 5 s, unless the caller says so.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from libs.common.addresses import refusal

TOTAL_S = 5.0
ANSWER_BYTES_MAX = 64 * 1024
URL_CHARS_MAX = 2048
_CHUNK = 16 * 1024


class CallRefused(Exception):
    """We don't call this address; the text says why."""


class NotSent(Exception):
    """Nothing reached the other side."""


class NoAnswer(Exception):
    """The request went out and no answer came: it may have been taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; ``body`` is what came of it within the limits."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class _Pinned(AbstractResolver):
    """Knows the judged addresses of one host and nothing else."""

    def __init__(self, host: str, addresses: list[tuple[int, str]]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError("another host than the one that was checked")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)
            for kind, address in self._addresses
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        pass


class Outbound:
    """Calls others as ``agent``. ``allow_private`` is for tests: plain HTTP, any address."""

    def __init__(self, agent: str, *, allow_private: bool = False, total_s: float = TOTAL_S) -> None:
        self._headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
        self._allow_private = allow_private
        self._total_s = total_s
        self._services: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections to services."""
        session, self._services = self._services, None
        if session is not None:
            await session.close()

    def check_url(self, text: str) -> URL:
        """The address in what somebody gave; CallRefused when it has not the form of one we call."""
        if len(text) > URL_CHARS_MAX:
            raise CallRefused(f"longer than {URL_CHARS_MAX} characters")
        try:
            url = URL(text.strip())
            host, port = url.raw_host, url.port
        except ValueError:
            raise CallRefused("not a URL") from None
        schemes = ("https", "http") if self._allow_private else ("https",)
        if url.scheme not in schemes or not host or not port:
            raise CallRefused("not an https address")
        if url.user is not None or url.password is not None:
            raise CallRefused("user and password are not taken in an address")
        return url.with_fragment(None)

    async def to_anywhere(
        self,
        text: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        method: str = "POST",
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """Call an address somebody gave. ``bytes_max`` of the answer are read, the rest is cut off."""
        url = self.check_url(text)
        deadline = asyncio.get_running_loop().time() + self._total_s
        addresses = await self._judged(url, deadline)
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(url.raw_host or "", addresses),
            use_dns_cache=False,
            force_close=True,
            limit=1,
        )
        async with _session(connector, self._headers) as session:
            return await _call(session, method, url, body, headers, deadline, bytes_max)

    async def to_service(
        self,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        method: str = "POST",
        total_s: float | None = None,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """Call an address the operator set; connections are kept for a while."""
        if self._services is None:
            self._services = _session(aiohttp.TCPConnector(limit=32, keepalive_timeout=30), self._headers)
        deadline = asyncio.get_running_loop().time() + (total_s or self._total_s)
        return await _call(self._services, method, URL(url), body, headers, deadline, bytes_max)

    async def _judged(self, url: URL, deadline: float) -> list[tuple[int, str]]:
        """The addresses of the host, all of them good."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                found = await loop.getaddrinfo(url.raw_host, url.port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise NotSent("the name was not resolved in time") from None
        except (OSError, UnicodeError) as e:
            raise NotSent(f"the name was not resolved ({type(e).__name__})") from None
        addresses = list(dict.fromkeys((int(kind), str(address[0])) for kind, *_, address in found))
        if not addresses:
            raise NotSent("the name has no address")
        if not self._allow_private:
            for _, address in addresses:
                # One bad answer is enough: a name that has good ones as well is made to be asked again.
                why = refusal(address)
                if why is not None:
                    raise CallRefused(f"its address is not of the public internet: {why}")
        return addresses


def _session(connector: aiohttp.TCPConnector, headers: Mapping[str, str]) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    return aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),  # ours is one deadline over resolving and all else
        trace_configs=[trace],
    )


async def _note_sent(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    context.trace_request_ctx["sent"] = True


async def _call(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    body: bytes | None,
    headers: Mapping[str, str],
    deadline: float,
    bytes_max: int = ANSWER_BYTES_MAX,
) -> Answer:
    """One request. Errors are told by kind only: a library's text may quote the address."""
    context = {"sent": False}
    try:
        async with asyncio.timeout_at(deadline):
            response = await session.request(
                method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=context
            )
    except TimeoutError:
        raise (NoAnswer if context["sent"] else NotSent)("no answer in time") from None
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        raise CallRefused("not an address that can be called") from None
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as e:
        kind = NoAnswer if context["sent"] else NotSent
        raise kind(f"the connection failed ({type(e).__name__})") from None
    except aiohttp.ClientError as e:
        raise NoAnswer(f"the answer could not be read ({type(e).__name__})") from None
    try:
        return Answer(response.status, response.headers, await _body(response, deadline, bytes_max))
    finally:
        response.close() if not response.content.at_eof() else response.release()


async def _body(response: aiohttp.ClientResponse, deadline: float, bytes_max: int) -> bytes:
    """What comes of the body in time and within the limit: the status has already said what matters."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout_at(deadline):
            while size < bytes_max:
                part = await response.content.read(min(_CHUNK, bytes_max - size))
                if not part:
                    break
                parts.append(part)
                size += len(part)
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass  # a slow or broken body takes nothing away from the status
    return b"".join(parts)
