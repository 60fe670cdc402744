"""Profiles: what is special about a product, a market, a utility's program or a site, as data, never as code.

    profiles/<kind>/<name>.yaml      shipped with the package, or in a folder of the operator's own (searched first)

Every profile says where its facts come from (`source`) and how far they were checked (`verified`). The room that
uses a kind of profile owns its model; this module finds the file, reads it and reports what is wrong in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from vpp_gateway.errors import MisuseError
from vpp_gateway.yaml_source import Document, Finding, InvalidFile, Problem, read_yaml
from vpp_gateway.yaml_validate import near, validate

Kind = Literal["devices", "products", "programs", "sites"]
Verified = Literal["primary", "secondary", "unverified"]
"""primary: read in the document itself; secondary: told by somebody who read it; unverified: assumed."""

M = TypeVar("M", bound=BaseModel)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PACKAGE = Path(__file__).parent


class Source(BaseModel):
    """Where facts come from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    document: str = Field(min_length=1)
    """Title and version of the document."""
    page: str = ""
    """Page, section or clause."""
    date: str = ""
    """Date of the document, or when it was read."""


class Profile(BaseModel):
    """What every profile has. A base for the rooms' models; a model of one's own with these two fields does as well."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    source: tuple[Source, ...] = Field(min_length=1)
    """Documents that the facts come from."""
    verified: Verified
    """How far they were checked."""


def shipped_profiles() -> Path:
    """The folder of the profiles that come with the package: inside the wheel, or beside the package in a checkout."""
    installed = _PACKAGE / "_profiles"
    return installed if installed.is_dir() else _PACKAGE.parent / "profiles"


def list_profiles(kind: Kind, search: Sequence[Path] = ()) -> tuple[str, ...]:
    """Names of all profiles of `kind`, sorted; `search` are folders of the operator's own, shaped like `profiles/`."""
    folders = [folder / kind for folder in (*search, shipped_profiles())]
    return tuple(sorted({file.stem for folder in folders for file in folder.glob("*.yaml")}))


def read_profile(kind: Kind, name: str, search: Sequence[Path] = ()) -> Document:
    """The file of one profile, read but not validated; the first of `search`, then the shipped ones.

    Raises:
        InvalidFile: there is no such profile, or its file is not YAML.
    """
    if (problem := missing_profile(kind, name, search)) is not None:
        file = f"profiles/{kind}/{name}.yaml"
        raise InvalidFile(
            [
                Problem(
                    file=file,
                    line=0,
                    column=0,
                    key="",
                    code=problem.code,
                    values=problem.values,
                    near=problem.near,
                )
            ]
        )
    files = (folder / kind / f"{name}.yaml" for folder in (*search, shipped_profiles()))
    return read_yaml(next(file for file in files if file.exists()))


def missing_profile(kind: Kind, name: str, search: Sequence[Path] = ()) -> Finding | None:
    """Why there is no profile `name`, or None when there is one; the caller gives the finding its place."""
    if not _NAME.fullmatch(name):
        return Finding(loc=(), code="problem.profile_name", values=(("found", name),))
    known = list_profiles(kind, search)
    if name in known:
        return None
    values = (("kind", kind), ("found", name), ("allowed", ", ".join(known) or "-"))
    return Finding(loc=(), code="problem.no_profile", values=values, near=near(name, known))


def load_profile(kind: Kind, name: str, model: type[M], search: Sequence[Path] = ()) -> M:
    """One profile as a `model`.

    Args:
        kind: folder below `profiles/`.
        name: file name without `.yaml`; a field `name` of the profile must agree with it.
        model: has the fields `source` and `verified`, see `Profile`.
        search: folders of the operator's own, shaped like `profiles/`; searched before the shipped ones.

    Raises:
        InvalidFile: with every mistake of the file, or that there is no such file.
        MisuseError: `model` lacks `source` or `verified`.
    """
    if not {"source", "verified"} <= set(model.model_fields):
        raise MisuseError(f"{model.__name__} cannot be a profile: it has no fields source and verified")
    document = read_profile(kind, name, search)
    findings = []
    called = document.plain.get("name", name)
    if "name" in model.model_fields and called != name:
        values = (("found", str(called)), ("file", f"{name}.yaml"))
        findings.append(Finding(loc=("name",), code="problem.profile_renamed", values=values))
    return validate(document, model, findings=findings)
