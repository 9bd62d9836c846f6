"""The page on which a person tries the analysis: our own files and one vendored library."""

from __future__ import annotations

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
    """The files, read at start."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in _TYPES}

    def page(self) -> Reply:
        """The page."""
        headers = {"Content-Security-Policy": CSP, "Referrer-Policy": "same-origin"}
        return Reply(200, self._files[_PAGE], headers, _TYPES[".html"])

    def file(self, name: str) -> Reply:
        """A script, the style sheet, or the library's licence."""
        body = self._files.get(name)
        if body is None or name == _PAGE:
            raise PathUnknown("there is no such file of this page")
        return Reply(200, body, {"Cache-Control": "public, max-age=3600"}, _TYPES[Path(name).suffix])
