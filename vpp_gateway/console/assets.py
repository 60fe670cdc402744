"""The built page: every file of `static/`, read once, served from memory.

Read at start: a request can then name nothing but what was built (no path to traverse), and no thread or disk stands
between an operator and the picture. The build leaves a `.gz` beside each file that gains from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"

CONTENT_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}

NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>vpp-gateway: page not built</title>
<h1>The page is not built</h1>
<p>The gateway runs and its API answers (<code>/api/v1/status</code>), but this installation carries no page.
<p>In the source tree, with Node 18 or newer (<code>apt-get install nodejs npm</code>), run:
<pre>cd vpp_gateway/console/ui
npm ci
npm run build</pre>
<p>and start the gateway again. Building or installing the package (<code>pip install .</code>) does the same.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of the page."""

    body: bytes
    gzipped: bytes | None
    """The same, compressed by the build; None where that gains nothing."""
    content_type: str

    @property
    def charset(self) -> str | None:
        """UTF-8 for what is text."""
        return "utf-8" if self.content_type.startswith("text/") else None


def load_assets(folder: Path = STATIC) -> dict[str, Asset]:
    """All files of `folder` by name; `index.html` is always there, if need be as a page that says how to build."""
    assets = {
        path.name: _asset(path, CONTENT_TYPES[path.suffix])
        for path in sorted(folder.glob("*"))
        if path.suffix in CONTENT_TYPES
    }
    if "index.html" not in assets:
        assets["index.html"] = Asset(body=NOT_BUILT.encode(), gzipped=None, content_type="text/html")
    return assets


def _asset(path: Path, content_type: str) -> Asset:
    compressed = path.with_name(path.name + ".gz")
    return Asset(
        body=path.read_bytes(),
        gzipped=compressed.read_bytes() if compressed.is_file() else None,
        content_type=content_type,
    )
