"""Which text has something to see."""

import re

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(n)}{chr(n + 1)}" for n in range(0xFFFE, 0x110000, 0x10000))
_BLANK = (
    "\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # white space and control characters
    "\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\U00013430-\U0001343f"  # of format
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # of format too, tags and variation selectors
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0"  # joiners, fillers, variation selectors
    "\u2800\U00016fe4\U0001d159"  # an empty Braille cell, a filler, an empty note
)
_VISIBLE = re.compile(f"[^{_BLANK}{_NONCHARACTERS}]")


def is_visible(text: str) -> bool:
    """Whether a text has a character that shows: soft hyphens, zero-width characters, fillers and white space do not."""
    return _VISIBLE.search(text) is not None
