"""Builds the operator's page when the package is built, so that whoever installs a wheel needs no Node.

    checkout      npm ci && npm run build in vpp_gateway/console/ui   -> vpp_gateway/console/static
    sdist         carries static/ with the fingerprint of its sources -> nothing to do, no Node needed
    wheel         carries static/

static/ is current when the fingerprint beside it equals that of the sources: file times say nothing after a checkout
or an unpacked archive. Without Node 18 or newer a checkout does not build: a package without its page would be found
out by an operator, at night.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

UI = Path("vpp_gateway/console/ui")
STATIC = Path("vpp_gateway/console/static")
FINGERPRINT = "sources.sha256"
ENTRY = "index.html"
NODE_MIN = 18

NEEDS_NODE = (
    "The operator's page of vpp-gateway must be built, and that needs Node {minimum} or newer with npm: {found}.\n"
    "  Debian 12 and newer, Ubuntu 24.04 and newer:  apt-get install nodejs npm\n"
    "  others:  https://nodejs.org/en/download\n"
    "A released wheel or sdist carries the built page and needs no Node."
)


class PageError(RuntimeError):
    """The page cannot be built; the text says what to do."""


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's hook: called before a wheel (also editable) or sdist is put together."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page unless it is current."""
        build_page(Path(self.root))


def build_page(root: Path) -> bool:
    """Build `static/` under `root` unless it is current; True when it was built.

    Raises:
        PageError: there is no Node, it is too old, or the build failed.
    """
    wanted = fingerprint(root / UI)
    if is_current(root / STATIC, wanted):
        return False
    npm = require_node()
    for arguments in (["ci"], ["run", "build"]):
        run(npm, arguments, root / UI)
    (root / STATIC / FINGERPRINT).write_text(wanted + "\n", encoding="ascii")
    return True


def is_current(static: Path, wanted: str) -> bool:
    """Whether `static` holds a page built from sources with that fingerprint."""
    kept = static / FINGERPRINT
    return (
        (static / ENTRY).is_file() and kept.is_file() and kept.read_text(encoding="ascii").strip() == wanted
    )


def fingerprint(ui: Path) -> str:
    """SHA-256 over names and contents of everything that the page is built from."""
    total = hashlib.sha256()
    for path in sorted(ui.rglob("*")):
        relative = path.relative_to(ui)
        if not path.is_file() or "node_modules" in relative.parts or relative.name.startswith("."):
            continue
        total.update(f"{relative.as_posix()}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def require_node() -> str:
    """Path of npm, with a Node beside it that is new enough. Raises PageError otherwise."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing = " and ".join(name for name, path in (("node", node), ("npm", npm)) if path is None)
        raise PageError(NEEDS_NODE.format(minimum=NODE_MIN, found=f"{missing} not found"))
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = re.match(r"v(\d+)\.", said)
    if major is None or int(major[1]) < NODE_MIN:
        raise PageError(
            NEEDS_NODE.format(minimum=NODE_MIN, found=f"{node} is {said or 'of unknown version'}")
        )
    return npm


def run(npm: str, arguments: list[str], ui: Path) -> None:
    """Run npm in `ui`; its output appears only when it fails, whole, in the PageError."""
    done = subprocess.run(
        [npm, *arguments], cwd=ui, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise PageError(
            f"`npm {' '.join(arguments)}` failed in {ui} (exit {done.returncode}):\n{done.stdout}"
        )
