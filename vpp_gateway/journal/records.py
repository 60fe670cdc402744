"""Facts as bytes: what is written into the journal and hashed there.

A fact is a frozen dataclass. It becomes (kind, body): the kind says which dataclass, the body is canonical JSON
(sorted keys, no spaces, UTF-8, no NaN), so that equal facts have equal bytes and equal hashes.

    Tick(at=…)                                   ->  "Tick",                b'{"at":…,"snapshot":{…}}'
    northbound.openadr2.facts.Registered(…)      ->  "openadr2.Registered", b'{"at":…,…}'

Reading back is strict: text is never turned into a number, so `"007"` stays `"007"`. A field that is missing takes
the dataclass's default (records of an older version); a field that is unknown is ignored (records of a newer one).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import NoReturn, Protocol

from pydantic import TypeAdapter, ValidationError

from vpp_gateway.errors import JournalError, MisuseError


class Dated(Protocol):
    """What the journal asks of a fact: a frozen dataclass that says when the gateway learnt it."""

    @property
    def at(self) -> float:
        """UTC, Unix seconds."""
        ...


def kind_of(type_: type) -> str:
    """The name under which facts of `type_` stand in the journal: class name, with the room for session facts."""
    _, northbound, room = type_.__module__.partition(".northbound.")
    return f"{room.split('.')[0]}.{type_.__name__}" if northbound else type_.__name__


class FactCodec:
    """Turns facts of known types into (kind, body) and back.

    Args:
        types: Every dataclass that may stand in this journal: domain facts and the sessions' own facts.

    Raises:
        MisuseError: A type is no dataclass, or two types have the same kind.
    """

    def __init__(self, types: Iterable[type]) -> None:
        self._types: dict[str, type] = {}
        for type_ in types:
            kind = kind_of(type_)
            if not is_dataclass(type_):
                raise MisuseError(f"fact type {type_.__qualname__} is not a dataclass")
            if self._types.setdefault(kind, type_) is not type_:
                raise MisuseError(f"two fact types have the kind {kind!r}: {self._types[kind]} and {type_}")
        self._kinds: Mapping[type, str] = {type_: kind for kind, type_ in self._types.items()}
        self._adapters: dict[str, TypeAdapter[Dated]] = {}
        # ensure_ascii=False: Japanese reasons stay readable in the file. One encoder, built once: it is the hot path.
        self._json = json.JSONEncoder(
            sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
        )

    def encode(self, fact: Dated) -> tuple[str, bytes]:
        """(kind, body) of `fact`.

        Raises:
            JournalError: The type is unknown, a number is NaN or infinite, or a value does not fit its field.
        """
        kind = self._kinds.get(type(fact))
        if kind is None:
            raise JournalError(
                f"fact type {type(fact).__qualname__} is not known here; known: {self._known()}"
            )
        try:
            value = self._adapter(kind).dump_python(fact, mode="json", warnings="error")
            return kind, self._json.encode(value).encode()
        except (
            ValueError
        ) as error:  # pydantic's serialisation error, NaN and lone surrogates are all ValueErrors
            raise JournalError(f"fact {kind} at {fact.at!r} cannot be written: {error}") from error

    def decode(self, kind: str, body: bytes) -> Dated:
        """The fact that (kind, body) stands for.

        Raises:
            JournalError: The kind is unknown, or the body is not a fact of that kind.
        """
        if kind not in self._types:
            raise JournalError(
                f"kind {kind!r} is not known here (a newer version's?); known: {self._known()}"
            )
        try:
            if b"NaN" in body or b"Infinity" in body:  # may be innocent text; then the slow look passes it
                json.loads(body, parse_constant=_refuse)
            return self._adapter(kind).validate_json(body, strict=True)
        except ValidationError as error:
            raise JournalError(f"body is no {kind}: {_first(error)}") from error
        except ValueError as error:
            raise JournalError(f"body is no {kind}: {error}") from error

    def _adapter(self, kind: str) -> TypeAdapter[Dated]:
        adapter = self._adapters.get(kind)
        if adapter is None:
            adapter = self._adapters[kind] = TypeAdapter(self._types[kind])
        return adapter

    def _known(self) -> str:
        return ", ".join(sorted(self._types)) or "none"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the number {constant} is not allowed")


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'whole'}: {fault['msg']}"
