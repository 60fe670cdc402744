"""Every text that an operator reads from the command line or a checked file, in English and Japanese.

One call, `text(key, lang, **values)`. The two languages of a text stand side by side in `catalogue_texts`, so that
a text without its translation cannot be written. Logs stay English and are not texts of this catalogue.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final, Literal

from vpp_gateway.catalogue_capacity import CAPACITY
from vpp_gateway.catalogue_chronicle import CHRONICLE
from vpp_gateway.catalogue_conform import CONFORM
from vpp_gateway.catalogue_device import DEVICE
from vpp_gateway.catalogue_horizon import HORIZON
from vpp_gateway.catalogue_messages import MESSAGES
from vpp_gateway.catalogue_push import PUSH
from vpp_gateway.catalogue_ruling import RULING
from vpp_gateway.catalogue_said import SAID
from vpp_gateway.catalogue_texts import TEXTS as COMMAND_TEXTS
from vpp_gateway.catalogue_trust import TRUST
from vpp_gateway.catalogue_ven import VEN
from vpp_gateway.catalogue_whatif import WHATIF
from vpp_gateway.catalogue_why import WHY
from vpp_gateway.errors import GatewayError, MisuseError

Lang = Literal["en", "ja"]
LANGS: Final[tuple[Lang, ...]] = ("en", "ja")
TEXTS: Final = {
    **COMMAND_TEXTS,
    **WHY,
    **SAID,
    **VEN,
    **CONFORM,
    **MESSAGES,
    **TRUST,
    **PUSH,
    **CAPACITY,
    **HORIZON,
    **WHATIF,
    **CHRONICLE,
    **DEVICE,
    **RULING,
}
"""Key -> (English, Japanese)."""
CLAUSE_END: Final = re.compile(r"(; |: )")


def text(key: str, lang: Lang, /, **values: object) -> str:
    """The text named `key` in `lang`, its placeholders filled with `values`.

    A value that is itself the key of a text `found.…` or `word.…` is given in the same language; the value `why`, which
    is what somebody said in English, as far as `retell` can.

    Raises:
        MisuseError: there is no such text, or a placeholder is not given.
    """
    try:
        pair = TEXTS[key]
    except KeyError:
        raise MisuseError(f"the catalogue has no text {key!r}") from None
    try:
        return pair[LANGS.index(lang)].format(
            **{name: _in(lang, name, value) for name, value in values.items()}
        )
    except KeyError as missing:
        raise MisuseError(f"text {key!r} needs a value for {missing}") from None


class Told(GatewayError):
    """An error that an operator meets at the command line, sayable in both languages.

    Args:
        code: key of its text in the catalogue; stable, for programs.
        values: fill the text's placeholders.
    """

    def __init__(self, code: str, /, **values: object) -> None:
        self.code = code
        self.values = {name: str(value) for name, value in values.items()}
        super().__init__(text(code, "en", **values))

    def say(self, lang: Lang) -> str:
        """What happened, in `lang`."""
        return text(self.code, lang, **self.values)


def word(family: str, code: str, lang: Lang) -> str:
    """The operator's word for a code of the status (a health, a state, a kind); the code itself where there is none."""
    key = f"word.{family}.{code}"
    return TEXTS[key][LANGS.index(lang)] if key in TEXTS else code


def retell(said: str, lang: Lang) -> str:
    """What a part of the gateway said in English, in `lang`: clause by clause, as far as `catalogue_said` knows them.

    What it does not know, such as an error of the operating system or a VTN's own description, stays as it came.
    """
    if lang == "en":
        return said
    return "".join(_clause(part, lang) for part in CLAUSE_END.split(said))


@lru_cache(maxsize=1024)
def _clause(said: str, lang: Lang) -> str:
    for key, pattern in _patterns():
        found = pattern.fullmatch(said)
        if found is not None:
            inner = {name: _clause(value, lang) for name, value in found.groupdict().items()}
            return TEXTS[key][LANGS.index(lang)].format(**inner)
    return said


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Key and pattern of every clause that is said, those with most words of their own first."""
    hole = re.compile(r"\\{(\w+)\\}")
    longest_first = sorted(SAID, key=lambda key: -len(re.sub(r"\{\w+\}", "", SAID[key][0])))
    return tuple(
        (key, re.compile(hole.sub(r"(?P<\1>.+?)", re.escape(SAID[key][0])))) for key in longest_first
    )


def _in(lang: Lang, name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if name == "why":
        return retell(value, lang)
    if value.startswith("found.") and value in TEXTS:
        return TEXTS[value][LANGS.index(lang)]
    if value.startswith("word."):
        _, family, code = value.split(".", 2)
        return word(family, code, lang)
    return value
