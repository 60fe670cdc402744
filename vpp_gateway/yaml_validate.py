"""A YAML document against a pydantic model: all mistakes at once, each with its place and what is allowed.

pydantic says what it found wrong as (type, loc, context); a table turns each type into a text of the catalogue.
One mistake is one problem: a mistyped key is reported as unknown with what was meant, not a second time as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, LiteralString, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from vpp_gateway.catalogue import text
from vpp_gateway.plain import Loc
from vpp_gateway.yaml_source import Document, Finding, InvalidFile

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)
Hint = Callable[[Finding, object], Finding]
"""Makes a finding about a value more helpful; gets the finding and the value that stands in the file."""

RULES: LiteralString = "rules"
"""Error type of a model's own cross check; left out here, because the caller hands in the same rules as findings."""

_TYPES: Mapping[str, str] = {
    "string_type": "problem.type.text",
    "float_type": "problem.type.number",
    "float_parsing": "problem.type.number",
    "int_type": "problem.type.whole",
    "int_parsing": "problem.type.whole",
    "int_from_float": "problem.type.whole",
    "bool_type": "problem.type.switch",
    "bool_parsing": "problem.type.switch",
    "path_type": "problem.type.text",
    "dict_type": "problem.type.mapping",
    "model_type": "problem.type.mapping",
    "model_attributes_type": "problem.type.mapping",
    "tuple_type": "problem.type.list",
    "list_type": "problem.type.list",
    "finite_number": "problem.finite",
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


def wrong(code: LiteralString, **values: str) -> PydanticCustomError:
    """A mistake that a model's own validator found; `code` is a text of the catalogue, `values` fill it."""
    return PydanticCustomError(code, "{said}", {**values, "said": text(code, "en", **values)})


def validate(
    document: Document,
    model: type[M],
    *,
    findings: Iterable[Finding] = (),
    hint: Hint | None = None,
    context: Mapping[str, object] | None = None,
) -> M:
    """`document` as a `model`.

    Args:
        findings: mistakes found by other means, reported together with the model's.
        hint: sharpens a finding, see `Hint`.
        context: handed to the model's validators.

    Raises:
        InvalidFile: with every mistake.
    """
    found: list[Finding] = []
    instance: M | None = None
    try:
        instance = model.model_validate(document.plain, context=dict(context or {}))
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if detail["type"] != RULES]
        found = list(_findings(model, details, hint))
    faulty = {finding.loc for finding in found}
    found += [finding for finding in findings if finding.loc not in faulty]
    if found or instance is None:
        raise InvalidFile(document.problems(found))
    return instance


def show(value: object) -> str:
    """A value of a file as the operator would write it, short; `found.…` is a text of the catalogue."""
    if value is None:
        return "found.nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "found.mapping"
    if isinstance(value, list | tuple):
        return "found.list"
    shown = f"'{value}'" if isinstance(value, str) else f"{value}"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def near(found: object, allowed: Iterable[str]) -> str | None:
    """The one of `allowed` that was probably meant by `found`."""
    close = get_close_matches(str(found), list(allowed), n=1, cutoff=0.6)
    return close[0] if close else None


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model that stands at `loc` inside `model`, as far as the annotations tell."""
    here: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int) or here is None:
            continue
        if part in here.model_fields:
            here = _model_in(here.model_fields[part].annotation)
    return here


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)


def _findings(model: type[BaseModel], details: list[ErrorDetails], hint: Hint | None) -> Iterator[Finding]:
    meant: set[Loc] = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            finding = _unknown(model, detail["loc"], details)
            meant |= {(*finding.loc[:-1], finding.near)} if finding.near else set()
            yield finding
    for detail in details:
        if detail["type"] == "missing" and detail["loc"] not in meant:
            yield _missing(model, detail["loc"])
        elif detail["type"] not in ("missing", "extra_forbidden") and not _echo(detail):
            finding = _about_value(detail)
            yield hint(finding, detail["input"]) if hint else finding


def _echo(detail: ErrorDetails) -> bool:
    """Whether a list is called too short only because items of it are wrong, which is said already."""
    value = detail["input"]
    return (
        detail["type"] == "too_short"
        and isinstance(value, list)
        and len(value) >= detail["ctx"]["min_length"]
    )


def _unknown(model: type[BaseModel], loc: Loc, details: list[ErrorDetails]) -> Finding:
    parent = model_at(model, loc[:-1])
    allowed = list(parent.model_fields) if parent else []
    absent = [str(d["loc"][-1]) for d in details if d["type"] == "missing" and d["loc"][:-1] == loc[:-1]]
    return Finding(
        loc=loc,
        at="key",
        code="problem.unknown_key",
        values=(("allowed", ", ".join(allowed) or "-"),),
        near=near(loc[-1], absent) or near(loc[-1], allowed),
    )


def _missing(model: type[BaseModel], loc: Loc) -> Finding:
    parent = model_at(model, loc[:-1])
    field = parent.model_fields.get(str(loc[-1])) if parent else None
    meaning = (field.description or "") if field else ""
    return Finding(
        loc=loc, code="problem.missing", values=(("meaning", meaning.replace("\n", " ") or str(loc[-1])),)
    )


def _about_value(detail: ErrorDetails) -> Finding:
    kind, context, loc = detail["type"], detail.get("ctx", {}), detail["loc"]
    if kind.startswith("problem."):
        values = tuple((key, str(value)) for key, value in context.items() if key != "said")
        return Finding(loc=loc, code=kind, values=values)
    if kind in ("literal_error", "enum"):
        return _choice(loc, detail["input"], str(context["expected"]))
    code, said = _form(kind, context, detail["input"], detail["msg"])
    return Finding(loc=loc, code=code, values=tuple(said.items()))


def _choice(loc: Loc, value: object, expected: str) -> Finding:
    choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
    said = (("found", show(value)), ("allowed", ", ".join(choices)))
    return Finding(loc=loc, code="problem.choice", values=said, near=near(value, choices))


def _form(
    kind: str, context: Mapping[str, object], value: object, message: str
) -> tuple[str, dict[str, str]]:
    """Text and its values for the plain error types of pydantic."""
    found = {"found": show(value)}
    if kind in _BOUNDS:
        sign, name = _BOUNDS[kind]
        return "problem.range", found | {"allowed": f"{sign} {_tidy(context[name])}"}
    if kind == "string_type" and isinstance(value, int | float):
        return "problem.type.quote", found
    if kind in _TYPES:
        return _TYPES[kind], found
    match kind:
        case "string_pattern_mismatch":
            return "problem.pattern", found | {"allowed": str(context["pattern"])}
        case "string_too_short":
            return "problem.text_short", found | {"least": str(context["min_length"])}
        case "string_too_long":
            return "problem.text_long", {"found": str(len(str(value))), "most": str(context["max_length"])}
        case "too_short":
            return "problem.too_short", {
                "found": str(context["actual_length"]),
                "least": str(context["min_length"]),
            }
        case "too_long":
            return "problem.too_long", {
                "found": str(context["actual_length"]),
                "most": str(context["max_length"]),
            }
        case "value_error" | "assertion_error":
            return "problem.said", {"reason": str(context["error"])}
        case _:
            return "problem.said", {"reason": message}


def _tidy(bound: object) -> str:
    """A bound as people write it: 0, not 0.0."""
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
