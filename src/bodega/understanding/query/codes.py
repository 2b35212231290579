"""Is the whole query the number of an article? "WH-1000XM4", "4006381333931": then nothing is corrected or guessed."""

from __future__ import annotations

import re

_CODE = re.compile(r"[A-Za-z0-9]+(?:[-_./][A-Za-z0-9]+)*")
_RUNS = re.compile(r"[a-z]+|[0-9]+")
_WORD_AND_NUMBER = re.compile(r"[a-z]{4,}-?[0-9]{1,3}(?:-?[a-z]{1,3})?")
_AMOUNT = re.compile(r"[0-9]+(?:[.][0-9]+)?-?[a-z]{1,5}")
SHORTEST = 5
LONGEST = 40


def is_code(typed: str) -> bool:
    """Letters and digits mixed as no word mixes them, or a long number; one word, no blanks.

    "iphone13" and "windows10" are words with a number, "500ml" and "1080p" are amounts, "2020" is a year.

    >>> [is_code(text) for text in ("WH-1000XM4", "4006381333931", "B07XJ8C8F5", "iphone13", "500ml", "2020", "24/7")]
    [True, True, True, False, False, False, False]
    """
    text = typed.strip()
    if not SHORTEST <= len(text) <= LONGEST or not _CODE.fullmatch(text):
        return False
    plain = re.sub(r"[-_./]", "", text).lower()
    digits = sum(char.isdigit() for char in plain)
    if digits == len(plain):
        return digits >= 6 and "/" not in text and "." not in text
    if _WORD_AND_NUMBER.fullmatch(text.lower()) or _AMOUNT.fullmatch(text.lower()):
        return False
    runs = len(_RUNS.findall(plain))
    return digits >= 3 or (digits >= 2 and runs >= 4)
