"""Pages for people: our own HTML, one small style sheet inside, no scripts and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from services.gateway.pages.library import Page, anchor_of, unique

CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'"
)

_STYLE = Path(__file__).with_name("style.css")

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


_ASK = (
    '<form action="/docs" method="get">'
    '<input name="ask" maxlength="500" required aria-label="Ask the pages"'
    ' placeholder="Ask the pages, e.g. How does a price alert fire?"><button>Ask</button></form>'
)
_ELSEWHERE = (
    '<p class="soft">The same as <a href="/openapi.json">OpenAPI 3.1</a>; for agents'
    ' <a href="/llms.txt">llms.txt</a>; every page is Markdown under its name with <code>.md</code>.</p>'
)
_FIELDS_HEAD = "<tr><th>field</th><th>in</th><th>required</th><th>type</th><th></th></tr>"


@cache
def _style() -> str:
    return _STYLE.read_text(encoding="utf-8")


def page_html(page: Page, pages: Iterable[Page]) -> str:
    """A page of the documentation."""
    tokens = _markdown.parse(page.text)
    _anchor(tokens)
    _relink(tokens, page.name)
    return _frame(page.title, _markdown.renderer.render(tokens, _markdown.options, {}), pages)


def reference_html(document: Mapping[str, Any], pages: Iterable[Page]) -> str:
    """The first page: the list of pages and every operation of the OpenAPI document."""
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(method.upper(), path, operation, document))
    body = [f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>{_ASK}{_ELSEWHERE}"]
    for tag, operations in groups.items():
        body.append(f'<h2 id="{anchor_of(tag)}">{escape(tag.capitalize())}</h2>{"".join(operations)}')
    return _frame(info["title"], "".join(body), pages)


def _operation(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    rows = [
        (p["name"], p["in"], p.get("required", False), p.get("schema", {}))
        for p in operation.get("parameters", [])
    ]
    content = operation.get("requestBody", {}).get("content", {})
    for media in content.values():
        schema = _resolved(media["schema"], document)
        required = set(schema.get("required", ()))
        rows += [(n, "body", n in required, s) for n, s in schema.get("properties", {}).items()]
    fields = "".join(_field(name, place, need, schema, document) for name, place, need, schema in rows)
    table = f"<table>{_FIELDS_HEAD}{fields}</table>" if fields else ""
    answers = " ".join(f"<code>{code}</code>" for code in operation.get("responses", {}))
    description = f"<p>{escape(operation['description'])}</p>" if "description" in operation else ""
    repeat = escape(operation["x-idempotency"])
    return (
        f'<details class="op" id="{escape(operation["operationId"])}"><summary>'
        f'<span class="verb {method}">{method}</span><code>{escape(path)}</code>'
        f'<span class="soft">{escape(operation.get("summary", ""))}</span></summary>'
        f"<div>{description}<p>Repeating it: {repeat}. Answers: {answers}.</p>{table}</div></details>"
    )


def _field(name: str, place: str, need: bool, schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    about = escape(_resolved(schema, document).get("description", ""))
    cells = (
        f"<code>{escape(name)}</code>",
        place,
        "yes" if need else "",
        escape(type_text(schema, document)),
        about,
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def type_text(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(type_text(option, document) for option in schema["anyOf"])
    kind = schema.get("type", "any")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "enum" in schema:
        text = ", ".join(str(value) for value in schema["enum"])
    bounds = [f"{sign}{schema[key]}" for key, sign in (("minimum", "≥ "), ("maximum", "≤ ")) if key in schema]
    low, high = schema.get("minLength"), schema.get("maxLength")
    if low is not None or high is not None:
        bounds.append(f"{low or 0} to {high if high is not None else 'any'} characters")
    return ", ".join([text, *bounds])


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _frame(title: str, body: str, pages: Iterable[Page]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)} · Tradewind</title>"
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_style()}</style></head>'
        f'<body><div class="frame"><nav><a class="brand" href="/docs">Tradewind</a>{_menu(pages)}</nav>'
        f"<main>{body}</main></div></body></html>"
    )


def _menu(pages: Iterable[Page]) -> str:
    folders: dict[str, list[Page]] = {}
    for page in pages:
        folders.setdefault(page.name.rpartition("/")[0], []).append(page)
    parts = []
    for folder, inside in folders.items():
        links = "".join(f'<li><a href="/docs/{escape(p.name)}">{escape(p.title)}</a></li>' for p in inside)
        parts.append(f"<h2>{escape(folder or 'pages')}</h2><ul>{links}</ul>")
    return "".join(parts)


def _anchor(tokens: Sequence[Token]) -> None:
    seen: dict[str, int] = {}
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", unique(anchor_of(inline.content), seen))


def _relink(tokens: Sequence[Token], name: str) -> None:
    """Links between our own Markdown files lead to the pages made from them."""
    for token in tokens:
        for child in token.children or ():
            target = str(child.attrGet("href") or "")
            if child.type == "link_open" and target.partition("#")[0].endswith(".md") and "://" not in target:
                child.attrSet("href", _page_address(target, name))


def _page_address(target: str, name: str) -> str:
    path, hash_, anchor = target.partition("#")
    parts = ["docs", *name.split("/")[:-1]] if "/" in name or not name.isupper() else []
    for step in path.split("/"):
        if step == "..":
            parts = parts[:-1]
        elif step != ".":
            parts.append(step)
    if parts[:1] == ["docs"]:
        parts = parts[1:]
    return "/docs/" + "/".join(parts).removesuffix(".md") + hash_ + anchor
