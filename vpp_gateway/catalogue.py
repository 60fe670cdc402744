"""Every text that an operator reads from the command line or a checked file, in English and Japanese.

One call, `text(key, lang, **values)`. The two languages of a text stand side by side in `catalogue_texts`, so that
a text without its translation cannot be written. Logs stay English and are not texts of this catalogue.
"""

from __future__ import annotations

from typing import Final, Literal

from vpp_gateway.catalogue_texts import TEXTS as COMMAND_TEXTS
from vpp_gateway.catalogue_why import WHY
from vpp_gateway.errors import GatewayError, MisuseError

Lang = Literal["en", "ja"]
LANGS: Final[tuple[Lang, ...]] = ("en", "ja")
TEXTS: Final = {**COMMAND_TEXTS, **WHY}
"""Key -> (English, Japanese)."""


def text(key: str, lang: Lang, /, **values: object) -> str:
    """The text named `key` in `lang`, its placeholders filled with `values`.

    A value that is itself the key of a text `found.…` is given in the same language.

    Raises:
        MisuseError: there is no such text, or a placeholder is not given.
    """
    try:
        pair = TEXTS[key]
    except KeyError:
        raise MisuseError(f"the catalogue has no text {key!r}") from None
    try:
        return pair[LANGS.index(lang)].format(**{name: _word(value, lang) for name, value in values.items()})
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


def _word(value: object, lang: Lang) -> object:
    if isinstance(value, str) and value.startswith("found.") and value in TEXTS:
        return TEXTS[value][LANGS.index(lang)]
    return value
