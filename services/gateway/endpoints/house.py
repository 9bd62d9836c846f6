"""Rows the gateway serves itself: health, metrics, documents, public keys, the stream's door."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from libs.common.messages import auth
from services.gateway.endpoints.fields import Line
from services.gateway.endpoints.row import PUBLIC, Endpoint, Limit

ASKS = Limit("ask", 30, when="ask")
Question = Annotated[str, Meta(min_length=1, max_length=500, description="A question about Tradewind.")]


class ReadyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``for=traffic``: ask only what a load balancer needs to know."""

    for_: str = msgspec.field(name="for", default="")


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the stack can work; ``services`` names the problems of each service asked."""

    ready: bool
    problems: list[str]
    services: dict[str, list[str]]


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the documentation, or with ``ask`` an answer from all of them."""

    page: Annotated[str, Meta(max_length=200)]
    ask: Question | None = None


class FileRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a page."""

    file: Annotated[str, Meta(max_length=64)]


class DocsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The documentation's first page, or with ``ask`` an answer from all pages."""

    ask: Question | None = None


class AnswerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A person asks."""

    ask: Question


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """A passage of our own pages."""

    text: str
    page: str
    anchor: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A page a passage comes from."""

    title: str
    url: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What our pages say to a question, in their own words."""

    answer: str
    excerpts: list[Excerpt]
    sources: list[Source]


class RootRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Where everybody comes in; ``ref`` is the code of whoever sent them."""

    ref: Line = ""


def _row(path: str, local: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(
        **{
            "method": "GET",
            "path": path,
            "surface": "house",
            "tags": ("house",),
            "summary": summary,
            "access": PUBLIC,
            "repeat": "safe",
            "local": local,
            "response": str,
            "content_type": "text/plain",
            **more,
        }
    )


ROWS = (
    _row(
        "/",
        "root",
        "To the documentation, or with an Upgrade header the stream",
        request=RootRequest,
        hidden=True,
    ),
    _row(
        "/ws",
        "stream",
        "The WebSocket stream",
        description="Session flow and frames: see `/docs/api/stream.md`.",
    ),
    _row("/livez", "livez", "The process lives"),
    _row("/healthz", "healthz", "The process lives: the text `ok`"),
    _row(
        "/readyz",
        "readyz",
        "Every service this stack was told to run answers",
        request=ReadyRequest,
        response=Readiness,
        content_type="application/json",
    ),
    _row("/metrics", "metrics", "Prometheus metrics of this gateway process"),
    _row(
        "/openapi.json", "openapi", "This document", response=dict[str, Any], content_type="application/json"
    ),
    _row(
        "/docs",
        "docs",
        "The documentation for people; with `ask` an answer",
        request=DocsRequest,
        limits=(ASKS,),
        content_type="text/html",
    ),
    _row(
        "/docs/answer",
        "answer",
        "An answer from our pages for people",
        request=AnswerRequest,
        limits=(ASKS,),
        content_type="text/html",
        hidden=True,
    ),
    _row(
        "/docs/{page*}",
        "page",
        "A page of the documentation: Markdown with .md, else for people; with `ask` an answer",
        request=PageRequest,
        limits=(ASKS,),
        content_type="text/markdown",
    ),
    _row("/llms.txt", "llms", "What an agent should read"),
    _row("/try", "try", "A page that draws a demo brief", content_type="text/html"),
    _row(
        "/try/{file}",
        "try_file",
        "What that page is made of",
        request=FileRequest,
        content_type="text/javascript",
        hidden=True,
    ),
    _row(
        "/.well-known/jwks.json",
        "jwks",
        "The public keys tokens are signed with",
        response=auth.JsonWebKeys,
        content_type="application/json",
    ),
)
