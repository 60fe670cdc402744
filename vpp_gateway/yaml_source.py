"""YAML that knows where it stands: every value with its line and column, every mistake as a `Problem`.

    bytes -> ruamel tree (positions) -> plain values (for pydantic)
                   |                          |
                   +------- place(loc) <------+  a mistake at loc, said as

    gateway.yaml:8:7: sites[0].meter.profle: unknown key; allowed: host, id, ...; did you mean 'profile'?

The files are an operator's, so nothing in them may do more than be wrong: no tags, no endless aliases, a size limit.
YAML 1.2 is read: `yes`, `no` and `on` are text.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLWarning

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.errors import ConfigError
from vpp_gateway.plain import Loc

Plain = str | int | float | bool | None | dict[str, "Plain"] | list["Plain"]

FILE_MAX_BYTES = 1024 * 1024
VALUES_MAX = 100_000
DEPTH_MAX = 60

_YAML = "tag:yaml.org,2002:"
_PLAIN_TAGS = ("map", "seq", "str", "int", "float", "bool", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a file."""

    file: str
    line: int
    """From 1; 0 = the file as a whole."""
    column: int
    """From 1; 0 = the file as a whole."""
    key: str
    """Path of the key, for instance `sites[0].meter.port`; empty = the file as a whole."""
    code: str
    """Key of the text in the catalogue, `problem.…`; stable, for programs."""
    values: tuple[tuple[str, str], ...] = ()
    """What fills the text's placeholders; `found.…` is itself a text of the catalogue."""
    near: str | None = None
    """What was probably meant."""

    def what(self, lang: Lang = "en") -> str:
        """What is wrong and what is allowed, without the place."""
        values = {
            name: text(value, lang) if value.startswith("found.") else value for name, value in self.values
        }
        said = text(self.code, lang, **values)
        return said if self.near is None else f"{said}; {text('problem.near', lang, near=self.near)}"

    def say(self, lang: Lang = "en") -> str:
        """`file:line:column: key: what is wrong; what is allowed; did you mean 'x'?`"""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.key}: {self.what(lang)}" if self.key else f"{place}: {self.what(lang)}"


class InvalidFile(ConfigError):
    """A file of the operator is wrong. All of its mistakes at once, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(problem.say() for problem in self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A mistake at a path, before it is known where the path stands in the file."""

    loc: Loc
    code: str
    values: tuple[tuple[str, str], ...] = ()
    near: str | None = None
    at: Literal["key", "value"] = "value"
    other: Loc | None = None
    """Another place that the text speaks of; fills its `line` and `other`."""


class Document:
    """One YAML file: its plain values, and where each of them stands.

    Args:
        file: name of the file as the operator gave it.
        tree: the ruamel round-trip tree.
        plain: the same as plain Python values.
    """

    def __init__(self, file: str, tree: CommentedMap, plain: dict[str, Plain]) -> None:
        self.file = file
        self.plain = plain
        self._tree = tree

    @classmethod
    def nowhere(cls, file: str) -> Document:
        """A document for values that were built in code, not read: everything stands at 1:1."""
        return cls(file, CommentedMap(), {})

    def place(self, loc: Loc, at: Literal["key", "value"] = "value") -> tuple[int, int]:
        """Line and column (from 1) of the deepest part of `loc` that stands in the file."""
        node: object = self._tree
        held: list[tuple[object, str | int]] = []
        for part in loc:
            if _holds(
                node, part
            ):  # else: a key that is missing, or a name that only the model knows (union tag)
                held.append((node, part))
                node = node[part]  # type: ignore[index]
        whole = bool(held) and held[-1][1] == loc[-1] and node is not None  # nothing stands nowhere
        for parent, part in reversed(held):
            if place := _place_in(parent, part, at if whole else "key"):
                return place[0] + 1, place[1] + 1
        return int(self._tree.lc.line or 0) + 1, int(self._tree.lc.col or 0) + 1

    def problem(self, finding: Finding) -> Problem:
        """`finding` with its place in this file."""
        values = dict(finding.values)
        if finding.other is not None:
            values |= {"line": str(self.place(finding.other)[0]), "other": spell(finding.other)}
        line, column = self.place(finding.loc, finding.at)
        return Problem(
            file=self.file,
            line=line,
            column=column,
            key=spell(finding.loc),
            code=finding.code,
            values=tuple(values.items()),
            near=finding.near,
        )

    def problems(self, findings: Iterable[Finding]) -> list[Problem]:
        """All `findings` with their places."""
        return [self.problem(finding) for finding in findings]


def spell(loc: Loc) -> str:
    """`sites[0].meter.port` for ("sites", 0, "meter", "port")."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def read_yaml(path: Path) -> Document:
    """Read one file.

    Raises:
        InvalidFile: it cannot be read, or is not YAML that this package takes.
    """
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _whole(file, "problem.no_file") from None
    except IsADirectoryError:
        raise _whole(file, "problem.folder") from None
    except PermissionError:
        raise _whole(file, "problem.no_permission") from None
    except OSError as error:
        raise _whole(file, "problem.unreadable", reason=error.strerror or str(error)) from None
    if len(raw) > FILE_MAX_BYTES:
        raise _whole(file, "problem.too_big", size=f"> {FILE_MAX_BYTES}", limit=str(FILE_MAX_BYTES))
    try:
        return parse_yaml(raw.decode("utf-8-sig"), file)
    except UnicodeDecodeError as error:
        raise _whole(file, "problem.encoding", offset=str(error.start)) from None


def parse_yaml(source: str, file: str) -> Document:
    """Read YAML text that came from `file`.

    Raises:
        InvalidFile: it is not YAML that this package takes.
    """
    tree = _tree(source, file)
    if tree is None:
        raise _whole(file, "problem.empty", allowed="'key: value'")
    if not isinstance(tree, CommentedMap):
        found = "a list" if isinstance(tree, CommentedSeq) else repr(str(tree))[:40]
        raise InvalidFile([_at(file, (1, 1), "problem.not_mapping", found=found)])
    unfolding = _Unfolding(file)
    plain = unfolding.plain(tree, (0, 0), ())
    if unfolding.problems:
        raise InvalidFile(unfolding.problems)
    assert isinstance(plain, dict)
    return Document(file, tree, plain)


def _tree(source: str, file: str) -> object:
    reader = YAML(typ="rt", pure=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", YAMLWarning)  # a re-used anchor is legal YAML
            return reader.load(source)
    except DuplicateKeyError as error:
        raise InvalidFile([_marked(file, error, "problem.duplicate_key")]) from None
    except MarkedYAMLError as error:
        reason = " ".join(part for part in (error.problem, error.context) if part)
        raise InvalidFile([_marked(file, error, "problem.syntax", reason=reason)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _whole(file, "problem.syntax", reason=reason) from None


def _marked(file: str, error: MarkedYAMLError, code: str, **values: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    return _at(file, (mark.line + 1, mark.column + 1) if mark else (0, 0), code, **values)


def _whole(file: str, code: str, **values: str) -> InvalidFile:
    return InvalidFile([_at(file, (0, 0), code, **values)])


def _at(file: str, place: tuple[int, int], code: str, key: str = "", **values: str) -> Problem:
    line, column = place
    return Problem(file=file, line=line, column=column, key=key, code=code, values=tuple(values.items()))


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, CommentedMap):
        return part in node
    return isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node)


def _place_in(node: object, part: str | int, at: Literal["key", "value"]) -> tuple[int, int] | None:
    """Line and column (from 0) of one entry; None when it came in by a merge key and stands elsewhere."""
    marks = node.lc.data or {}  # type: ignore[attr-defined]
    if part not in marks:
        return None
    found = marks[part]
    line, column = found[-2:] if at == "value" else found[:2]
    return int(line), int(column)


class _Unfolding:
    """Turns the tree into plain values, refusing what an operator's file has no use for."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._count = 0

    def plain(self, node: object, place: tuple[int, int], loc: Loc) -> Plain:
        self._count += 1
        if self._count > VALUES_MAX or len(loc) > DEPTH_MAX:
            raise InvalidFile([self._problem(place, loc, "problem.endless", limit=str(VALUES_MAX))])
        if (tag := _tag(node)) is not None:
            self.problems.append(self._problem(place, loc, "problem.tag", tag=tag))
            return None
        if isinstance(node, CommentedMap):
            return self._mapping(node, place, loc)
        if isinstance(node, CommentedSeq):
            return [
                self.plain(item, _place_in(node, index, "value") or place, (*loc, index))
                for index, item in enumerate(node)
            ]
        return _scalar(node)

    def _mapping(self, node: CommentedMap, place: tuple[int, int], loc: Loc) -> dict[str, Plain]:
        plain: dict[str, Plain] = {}
        for key, item in node.items():
            if not isinstance(key, str):
                where = _place_in(node, key, "key") or place
                self.problems.append(self._problem(where, loc, "problem.key_not_text", found=str(key)))
                continue
            plain[str(key)] = self.plain(item, _place_in(node, key, "value") or place, (*loc, str(key)))
        return plain

    def _problem(self, place: tuple[int, int], loc: Loc, code: str, **values: str) -> Problem:
        return _at(self._file, (place[0] + 1, place[1] + 1), code, spell(loc), **values)


def _tag(node: object) -> str | None:
    """The tag that stands in the file, unless it is one of YAML's own."""
    if not isinstance(node, CommentedMap | CommentedSeq | TaggedScalar):
        return None
    tag = node.tag.value if node.tag is not None else None
    return str(tag) if tag is not None and str(tag).removeprefix(_YAML) not in _PLAIN_TAGS else None


def _scalar(node: object) -> Plain:
    """ruamel's round-trip scalars as the plain ones they stand for; dates stay the text that was written."""
    if node is None or isinstance(node, bool):
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return str(node)
