"""The pages people see: consent, sign-in, grants. Our own HTML, no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlsplit

from libs.common.messages.auth_oauth import OAuthAsked
from libs.common.messages.auth_people import KeyView
from services.gateway.pages.html import style
from services.gateway.surfaces.base import Reply

HTML = "text/html; charset=utf-8"
SCOPE_TEXT = {
    "read": "Read market data, analyses and what your account shows, and spend your credit on paid calls",
    "scan": "Scan for patterns within your plan's quota",
    "trade": "<b>Trade</b>: place, change and close orders, and set alerts, in your trading accounts",
}


def _headers(form_targets: str) -> dict[str, str]:
    # A form's redirect must be allowed, too: browsers hold form-action against the whole chain.
    return {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action 'self' {form_targets}".rstrip(),
        "X-Frame-Options": "DENY",
        # With no-referrer browsers would send our own forms with "Origin: null", as foreign ones.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def target_of(redirect_uri: str) -> str:
    """The redirect URI as a CSP source."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("https", "http") else f"{parts.scheme}:"


def _page(title: str, body: str, status: int = 200, targets: str = "") -> Reply:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)} · Tradewind</title>"
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{style()}</style></head>'
        f'<body><div class="card"><p class="brand">Tradewind</p>{body}</div></body></html>'
    )
    return Reply(status, html.encode(), _headers(targets), HTML)


def refused(message: str) -> Reply:
    """A request that nobody may be asked about. There is no way on: we don't know whose address it is."""
    return _page(
        "Not possible",
        f"<h1>This can't be asked</h1><p>{escape(message)}</p>"
        '<p class="soft">Go back to the app you came from, and begin again there.</p>',
        400,
    )


def _hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )


def _sign_in_form(csrf: str, back: str, failed: str) -> str:
    why = f'<p class="bad" role="alert">{escape(failed)}</p>' if failed else ""
    return (
        f'<form class="sign-in" action="/oauth/sign-in" method="post">{_hidden({"csrf": csrf, "back": back})}'
        f'{why}<label>E-mail <input name="email" type="email" required autocomplete="username"></label>'
        '<label>Password <input name="password" type="password" required autocomplete="current-password">'
        "</label><button>Sign in</button></form>"
    )


def consent_page(
    asked: OAuthAsked, fields: Mapping[str, str], *, csrf: str, email: str, back: str, failed: str = ""
) -> Reply:
    """What a client wants, and the two buttons; or first the sign-in that it takes."""
    name, host = escape(asked.client_name), escape(asked.client_host)
    rights = "".join(f"<li>{SCOPE_TEXT[scope]}</li>" for scope in asked.scopes)
    body = [
        f"<h1>{name} wants to connect</h1>"
        f'<p class="soft">The answer goes to <b>{host}</b>. {_named_by(asked)}</p>'
        f"<p>It may:</p><ul>{rights}</ul>"
    ]
    may_agree = bool(email) or not asked.needs_person
    if email:
        body.append(f"<p>You are signed in as <b>{escape(email)}</b>. The key will be yours.</p>")
    elif may_agree:
        body.append("<p>You need no account: the app gets a free key with a small starter credit.</p>")
    else:
        body.append("<p>For this you have to sign in.</p>")
    if may_agree:
        body.append(
            f'<form action="/oauth/authorize" method="post">{_hidden({**fields, "csrf": csrf})}'
            '<button name="decision" value="allow">Allow</button> '
            '<button class="plain" name="decision" value="deny">Cancel</button></form>'
        )
    if not email:
        form = _sign_in_form(csrf, back, failed)
        shown = " open" if failed or not may_agree else ""
        body.append(f"<details{shown}><summary>Sign in to use your own account</summary>{form}</details>")
        body.append('<p class="soft">Without an account only the app itself can give the key back.</p>')
    else:
        ends = 'You can end this at any time under <a href="/oauth/grants">grants</a>.'
        body.append(f'<p class="soft">{ends}</p>')
    return _page(f"{asked.client_name} wants to connect", "".join(body), 200, target_of(asked.redirect_uri))


def _named_by(asked: OAuthAsked) -> str:
    if asked.publisher:
        return f"The name is what <b>{escape(asked.publisher)}</b> calls the app."
    return "The name is what the app calls itself."


def grants_page(keys: Sequence[KeyView], *, csrf: str, email: str) -> Reply:
    """Everything that may act for a person, each with its end."""
    rows = "".join(
        f"<tr><td>{escape(key.name)}</td><td>{'app' if key.client_id else 'key'}</td>"
        f"<td>{escape(' '.join(key.scopes))}</td><td>{escape(key.created_at[:10])}</td>"
        f"<td>{escape((key.last_used_at or 'never')[:10])}</td>"
        f'<td><form action="/oauth/grants" method="post">{_hidden({"csrf": csrf, "id": key.id})}'
        f'<button class="plain" aria-label="End {escape(key.name)}">End</button></form></td></tr>'
        for key in keys
    )
    head = "<tr><th>name</th><th>kind</th><th>may</th><th>since</th><th>last used</th><th></th></tr>"
    table = f"<table>{head}{rows}</table>" if rows else "<p>Nothing may act for you.</p>"
    body = f"<h1>Apps and keys</h1><p>Signed in as <b>{escape(email)}</b>.</p>{table}"
    return _page("Apps and keys", body)


def grants_sign_in(*, csrf: str, failed: str = "") -> Reply:
    """Whose grants: sign in first."""
    form = _sign_in_form(csrf, "/oauth/grants", failed)
    return _page("Sign in", f"<h1>Apps and keys</h1><p>Sign in to see what may act for you.</p>{form}")
