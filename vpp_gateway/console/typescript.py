"""Writes the page's TypeScript types from the published schemas, so that they are said once, in `status.py`.

`python -m vpp_gateway.console.typescript vpp_gateway/console/ui/src/model.ts`; the file is committed (the page builds
without Python) and a test holds it to the models. Knows exactly the JSON Schema that those models make, and refuses
anything else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vpp_gateway.console.ask import Json
from vpp_gateway.console.history import HistoryReply
from vpp_gateway.console.status import Status, View
from vpp_gateway.errors import MisuseError

MODELS: tuple[type[View], ...] = (Status, HistoryReply)

HEAD = "// Written by `python -m vpp_gateway.console.typescript`. Do not edit: change vpp_gateway/console/status.py.\n"

Schema = dict[str, Json]


def typescript_text() -> str:
    """The whole file."""
    definitions: dict[str, Schema] = {}
    for model in MODELS:
        schema: Schema = json.loads(json.dumps(model.model_json_schema(mode="serialization")))
        definitions.update(_members(schema.pop("$defs", {})))
        definitions[model.__name__] = schema
    blocks = ("\n".join(_definition(name, definitions[name])) for name in sorted(definitions))
    return HEAD + "".join(f"\n{block}\n" for block in blocks)


def _definition(name: str, schema: Schema) -> Iterator[str]:
    yield _comment(schema, "")
    if "enum" in schema:
        yield f"export type {name} = {_type(schema)};"
        return
    yield f"export interface {name} {{"
    for field, member in _members(schema["properties"]).items():
        yield _comment(member, "  ")
        yield f"  readonly {field}: {_type(member)};"
    yield "}"


def _type(schema: Schema) -> str:
    match schema:
        case {"$ref": str(reference)}:
            return reference.rpartition("/")[2]
        case {"const": constant}:
            return json.dumps(constant)
        case {"enum": list(values)}:
            return " | ".join(json.dumps(value) for value in values)
        case {"anyOf": list(choices)}:
            return " | ".join(_type(choice) for choice in choices if isinstance(choice, dict))
        case {"type": "array", "items": dict(items)}:
            inner = _type(items)
            return f"readonly ({inner})[]" if " " in inner else f"readonly {inner}[]"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"Readonly<Record<string, {_type(values)}>>"
        case {"type": str(plain)} if plain in PLAIN:
            return PLAIN[plain]
        case _:
            raise MisuseError(f"no TypeScript for {json.dumps(schema)[:200]}: teach console/typescript.py")


PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def _comment(schema: Schema, indent: str) -> str:
    text = " ".join(str(schema.get("description", "")).split("\n\n")[0].split())
    return f"{indent}/** {text.replace('*/', '* /')} */"


def _members(value: Json) -> dict[str, Schema]:
    """`value` as a mapping of names to schemas."""
    if not isinstance(value, dict):
        raise MisuseError(f"a mapping was expected, {value!r} found")
    return {name: member for name, member in value.items() if isinstance(member, dict)}


def main(arguments: list[str]) -> int:
    """Command line; the exit code is 2 for a wrong one."""
    if len(arguments) != 1:
        print("usage: python -m vpp_gateway.console.typescript FILE", file=sys.stderr)
        return 2
    Path(arguments[0]).write_text(typescript_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
