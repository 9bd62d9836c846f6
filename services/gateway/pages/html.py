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

from services.gateway.pages.index import Found
from services.gateway.pages.library import Page, anchor_of, unique

CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'self'; base-uri 'none'"
)

_STYLE = Path(__file__).with_name("style.css")

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


_ASK = (
    '<form action="/docs/answer" method="get">'
    '<input name="ask" maxlength="500" required aria-label="Ask the pages"'
    ' placeholder="Ask the pages, e.g. How does a price alert fire?"><button>Ask</button></form>'
)
_ELSEWHERE = (
    '<p class="soft">The same as <a href="/openapi.json">OpenAPI 3.1</a>; for agents'
    ' <a href="/llms.txt">llms.txt</a>; every page is Markdown under its name with <code>.md</code>.</p>'
)
_REPEAT = {
    "safe": "changes nothing",
    "idempotent": "has the effect of one call",
    "key": "is a new effect",
}
_SAFE_INTEGER = 2**53 - 1  # the bound of every integer: saying it would say nothing
_FOLDERS = {"": 0, "api": 1, "runbooks": 2}  # the order of the menu
_HOUSE = (
    '<a class="brand" href="/docs">Tradewind</a><ul><li><a href="/try">Try the analysis</a></li>'
    '<li><a href="/pricing">Pricing</a></li><li><a href="/oauth/grants">Connected apps</a></li></ul>'
)  # pages of the house that are no files
NOTHING_FOUND = "Our pages say nothing about this. /docs lists them."
_FIELDS_HEAD = "<tr><th>field</th><th>in</th><th>required</th><th>type</th><th>about</th></tr>"


@cache
def style() -> str:
    """The one style sheet."""
    return _STYLE.read_text(encoding="utf-8")


def page_html(page: Page, pages: Iterable[Page]) -> str:
    """A page of the documentation."""
    return _frame(page.title, _rendered(page.name, page.text), pages)


def _rendered(name: str, text: str) -> str:
    tokens = _markdown.parse(text)
    _anchor(tokens)
    _relink(tokens, name)
    rendered: str = _markdown.renderer.render(tokens, _markdown.options, {})
    return rendered


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


def answer_html(question: str, found: Sequence[Found], pages: Iterable[Page]) -> str:
    """The passages that fit a question, each leading to its place."""
    parts = [f"<h1>{escape(question)}</h1>{_ASK}"]
    for passage in (f.passage for f in found):
        section = passage.section
        where = f"/docs/{escape(section.page)}#{escape(section.anchor)}"
        parts.append(f'<h2><a href="{where}">{escape(section.page_title)}: {escape(section.title)}</a></h2>')
        parts.append(_rendered(section.page, passage.text))
    if not found:
        parts.append(f"<p>{NOTHING_FOUND}</p>")
    return _frame(question, "".join(parts), pages)


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
    about = operation.get("description", "")
    description = f"<p>{_markdown.renderInline(about)}</p>" if about else ""
    repeat = _REPEAT[operation["x-idempotency"]]
    return (
        f'<details class="op" id="{escape(operation["operationId"])}"><summary>'
        f'<span class="verb {method}">{method}</span><code>{escape(path)}</code>'
        f'<span class="soft">{escape(operation.get("summary", ""))}</span></summary>'
        f"<div>{description}<p>Repeating it {repeat}. Answers: {answers}.</p>{table}</div></details>"
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
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"))
        if key in schema and abs(schema[key]) != _SAFE_INTEGER
    ]
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if high is not None:
        bounds.append(f"{low} to {high} characters" if low else f"up to {high} characters")
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
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{style()}</style></head>'
        f'<body><div class="frame"><nav>{_HOUSE}{_menu(pages)}</nav>'
        f"<main>{body}</main></div></body></html>"
    )


def _menu(pages: Iterable[Page]) -> str:
    folders: dict[str, list[Page]] = {}
    for page in pages:
        folders.setdefault(page.name.rpartition("/")[0], []).append(page)
    parts = []
    for folder, inside in sorted(folders.items(), key=lambda item: _FOLDERS.get(item[0], len(_FOLDERS))):
        links = "".join(f'<li><a href="/docs/{escape(p.name)}">{escape(p.title)}</a></li>' for p in inside)
        parts.append(f"<h2>{escape(folder or 'pages')}</h2><ul>{links}</ul>")
    return "".join(parts)


def _anchor(tokens: Sequence[Token]) -> None:
    seen: dict[str, int] = {}
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", unique(anchor_of(inline.content), seen))


def _relink(tokens: Sequence[Token], name: str) -> None:
    """Links between our own Markdown files lead to the pages made from them, pictures to their files."""
    for child in (child for token in tokens for child in token.children or ()):
        attribute = {"link_open": "href", "image": "src"}.get(child.type)
        target = str(child.attrGet(attribute) or "") if attribute else ""
        ours = child.type == "image" or target.partition("#")[0].endswith(".md")
        if attribute and ours and "://" not in target:
            child.attrSet(attribute, _page_address(target, name))


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
