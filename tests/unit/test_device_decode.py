"""Registers read in every way: the one that fits is found, whatever the order."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from vpp_gateway.commission.decode import Guess, guesses, text_of


def found(registers: list[int], expect: float) -> list[Guess]:
    return [guess for guess in guesses(registers, expect=expect, within=0.001) if guess.fits]


def test_a_float_with_the_low_word_first_is_recognised_by_what_it_should_show() -> None:
    high, low = struct.unpack(">2H", struct.pack(">f", 49.98))
    (guess,) = found([low, high], 49.98)
    assert (guess.type, guess.words, guess.bytes, guess.scale) == ("float32", "little", "big", 1.0)


def test_tenths_of_a_percent_are_recognised_with_their_factor() -> None:
    kinds = {(guess.type, guess.scale) for guess in found([473], 47.3)}
    assert kinds == {("u16", 0.1), ("s16", 0.1)}


@given(st.integers(-(2**31), 2**31 - 1).filter(lambda value: abs(value) > 70000))
def test_a_long_integer_is_found_in_any_order(value: int) -> None:
    words = list(struct.unpack(">2H", struct.pack(">i", value)))
    for given_words, order in ((words, "big"), (words[::-1], "little")):
        hits = [guess for guess in found(given_words, float(value)) if guess.type == "s32"]
        assert (order, "big") in {(guess.words, guess.bytes) for guess in hits}


def test_text_shows_what_can_be_printed() -> None:
    assert text_of([0x5375, 0x6E53, 0x0001]) == "SunS.."
