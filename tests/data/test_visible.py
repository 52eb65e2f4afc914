"""Which characters show: decided for all of Unicode."""

import sys
import unicodedata

import pytest

from nmt.data.visible import is_visible

SIGNS_BEFORE_NUMBERS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Characters of format that show."""

BLANK = {
    *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, 0xFFA0, 0x16FE4, 0x1D159),
    *(*range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000), 0x2065, *range(0xFFF0, 0xFFF9)),
}
"""Characters of other categories that do not."""


def test_every_character_shows_or_does_not_as_unicode_says() -> None:
    for number in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(number))
        is_no_character = number & 0xFFFE == 0xFFFE or 0xFDD0 <= number < 0xFDF0
        is_blank = category in ("Cc", "Zs", "Zl", "Zp") or (category == "Cf" and number not in SIGNS_BEFORE_NUMBERS)
        shows = not (is_no_character or is_blank or number in BLANK)
        if category != "Cn" or not shows:  # of the others the next Unicode decides
            assert is_visible(chr(number)) == shows, f"U+{number:04X} {category}"


@pytest.mark.parametrize("text", ["", " \t\u3000", "\xad\u200b", "\u2800\ufe0f"])
def test_a_text_shows_if_one_of_its_characters_does(text: str) -> None:
    assert not is_visible(text)
    assert is_visible(f"{text}.{text}")
