"""The page on which a person tries the analysis: our own files and one vendored library."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from services.gateway.errors import PathUnknown
from services.gateway.surfaces.base import Reply

FOLDER = Path(__file__).with_name("try")
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'"
)
_PAGE = "page.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".LICENSE": "text/plain; charset=utf-8",
}


class Trial:
    """The files, read at start. Each has a second name with a digest of what it holds: what has that name
    never changes, so browsers keep it for good and have no old script beside a new page."""

    def __init__(self) -> None:
        files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in _TYPES}
        page = files.pop(_PAGE)
        self._files = dict(files)
        self._lasting: set[str] = set()
        for name, body in files.items():
            lasting = lasting_name(name, body)
            page = page.replace(f'"/try/{name}"'.encode(), f'"/try/{lasting}"'.encode())
            self._files[lasting] = body
            self._lasting.add(lasting)
        self._page = page

    def page(self) -> Reply:
        """The page; it is asked for each time."""
        headers = {
            "Content-Security-Policy": CSP,
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }
        return Reply(200, self._page, headers, _TYPES[".html"])

    def file(self, name: str) -> Reply:
        """A script, the style sheet, or the library's licence."""
        body = self._files.get(name)
        if body is None:
            raise PathUnknown("there is no such file of this page")
        kept = "public, max-age=31536000, immutable" if name in self._lasting else "no-cache"
        return Reply(200, body, {"Cache-Control": kept}, _TYPES[Path(name).suffix])


def lasting_name(name: str, body: bytes) -> str:
    """The name that says what the file holds: ``page.0123456789ab.js``."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{blake2b(body, digest_size=6).hexdigest()}{dot}{suffix}"
