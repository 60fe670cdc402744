"""What stands in the repository is fit to be published: files, profiles, schemas, documents."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.repository import ROOT, files, shown, texts, under

THIS = Path(__file__)
DOCUMENTS = tuple(path for path in files() if path.suffix == ".md")
PROFILES = under("profiles", ".yaml", ".yml")
SCHEMAS = tuple(path for path in files() if path.name.endswith(".schema.json"))


def matches(pattern: str, paths: tuple[Path, ...], flags: int = 0) -> list[str]:
    """`file:line found` for each match in the texts, this file left out."""
    found = []
    for path in paths:
        if path == THIS:
            continue
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(pattern, text, flags):
            found.append(f"{shown(path, text.count(chr(10), 0, match.start()) + 1)} {match[0]!r}")
    return found


def test_no_unfinished_business() -> None:
    assert not matches(r"\b(TODO|FIXME|XXX|HACK)\b", texts())


def test_no_machine_paths() -> None:
    """Names of one machine mean nothing on another; temporary folders come from `tempfile` and `tmp_path`."""
    assert not matches(r"(?<![\w./-])/(tmp|home|root|work)/[\w.]", texts())


def test_no_registry_hosts() -> None:
    """The clients of the registries know where they are; a lock file that names a host works on one side only."""
    assert not matches(
        r"(?i)\b(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org)\b", texts()
    )


def test_no_private_keys() -> None:
    named = [shown(path) for path in files() if path.suffix in {".pem", ".key", ".p12", ".pfx"}]
    assert not named, named
    assert not matches(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}", texts())


def test_shell_entry_points_are_executable() -> None:
    scripts = [path for path in texts() if path.read_text(encoding="utf-8").startswith("#!")]
    assert ROOT / ".ci" / "run" in scripts
    assert not [shown(path) for path in scripts if not path.stat().st_mode & 0o100]


def test_shell_scripts_parse() -> None:
    for path in (path for path in texts() if path.suffix == ".sh" or path == ROOT / ".ci" / "run"):
        run = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{shown(path)}: {run.stderr}"


@pytest.mark.parametrize("path", PROFILES, ids=shown)
def test_profile_says_where_it_is_from(path: Path) -> None:
    profile = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    assert isinstance(profile, dict)
    assert profile.get("verified") in {"primary", "secondary", "unverified"}
    source = profile.get("source")
    assert source, "document, page, date"
    assert re.search(r"\b(19|20)\d\d\b", json.dumps(source, default=str)), "source has no date"


@pytest.mark.parametrize("path", SCHEMAS, ids=shown)
def test_schema_is_valid(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def anchors(document: Path) -> set[str]:
    """Fragments that the headings of a Markdown document offer."""
    headings = re.findall(r"^#{1,6} (.+?)#*$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def dead_links(document: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = unquote(link).partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists():
            yield f"{shown(document)}: {link}"
        elif fragment and target.suffix == ".md" and fragment not in anchors(target):
            yield f"{shown(document)}: {link} (no such heading)"


def test_links_of_the_documents_resolve() -> None:
    dead = [link for document in DOCUMENTS for link in dead_links(document)]
    assert not dead, dead


def test_named_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (\w+)", makefile, re.MULTILINE))
    assert {"demo", "test", "bench", "soak", "lint", "clean", "help"} <= targets
    named = {
        (shown(document), target)
        for document in DOCUMENTS
        for code in re.findall(r"```.*?```|`[^`\n]+`", document.read_text(encoding="utf-8"), re.DOTALL)
        for target in re.findall(r"(?<![\w-])make ([a-z]+)\b(?!=)", code)
    }
    assert not {(document, target) for document, target in named if target not in targets}


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "soak", "dist", "clean", "help"])
def test_make_target_can_be_planned(target: str) -> None:
    """A dry run reads the whole Makefile and finds every prerequisite."""
    run = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr


def canonical(requirement: str) -> str:
    """The name in a requirement line, as registries compare it."""
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    pins = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", pin) for pin in pins)
    assert {canonical(line) for line in (*project["dependencies"], *extras)} <= {
        canonical(pin) for pin in pins
    }


def glossary_names() -> set[str]:
    """Names in the last column of the glossary's tables."""
    rows = re.findall(r"^\|.*\|$", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    cells = [row.rstrip("|").rpartition("|")[2] for row in rows if row.count("|") == 6]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_names_of_the_glossary_are_names_in_the_code() -> None:
    sources = (*under("vpp_gateway", ".py"), *PROFILES)
    words = {word for path in sources for word in re.findall(r"[\w-]+", path.read_text(encoding="utf-8"))}
    names = glossary_names()
    assert len(names) > 60, "the table is read"
    assert not names - words, "the glossary names what the code does not know"
