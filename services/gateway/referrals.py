"""Who sent somebody here: the code of a referrer's link, kept in a cookie until its holder signs up. Pure.

The last link counts, for as long as the plans file says (``affiliate.click_days``). Whose code it is, and
whether there is such a code, billing knows; here it only must look like one.
"""

from __future__ import annotations

import re
from http.cookies import CookieError, SimpleCookie

COOKIE = "ref"
DAY_S = 86_400
_CODE = re.compile(r"[A-Za-z0-9]{8}")


def cookie_for(code: str, days: int) -> str:
    """The ``Set-Cookie`` that remembers a link's code; "" for what can't be one."""
    if not _CODE.fullmatch(code):
        return ""
    return f"{COOKIE}={code.upper()}; Max-Age={days * DAY_S}; Path=/; HttpOnly; SameSite=Lax"


def code_in(cookies: str) -> str:
    """The code in a ``Cookie`` header; "" where there is none."""
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None and _CODE.fullmatch(found.value) else ""
