"""The Chinese README says what the English one says: the same commands, code, links, figures, headings and tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))


def code(text: str) -> list[str]:
    """Fenced blocks without their comments, and indented commands."""
    blocks = re.findall(r"^```\w+\n(.*?)^```", text, re.M | re.S) + re.findall(r"^ {4}(make .+)$", text, re.M)
    return [re.sub(r"\s+# .*$", "", block, flags=re.M) for block in blocks]


def spans(text: str) -> set[str]:
    """What stands between backticks in running text: commands, settings, names."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return {" ".join(span.split()) for span in re.findall(r"`([^`]+)`", plain)} - {"bench recommend"}


def links(text: str) -> list[str]:
    return sorted(re.findall(r"\]\(([^)\s]+)\)", text.replace("README.zh.md", "OTHER").replace("README.md", "OTHER")))


def rows(text: str) -> list[list[str]]:
    """The numbers of every row of every table, in order."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [re.findall(r"\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+", line) for line in lines]


def test_code_and_commands_are_the_same() -> None:
    assert code(CHINESE) == code(ENGLISH)


def test_names_and_settings_are_the_same() -> None:
    assert spans(CHINESE) == spans(ENGLISH)


def test_links_are_the_same() -> None:
    assert links(CHINESE) == links(ENGLISH)


def test_figures_are_the_same() -> None:
    assert len(rows(CHINESE)) == len(rows(ENGLISH)) > 40
    for english, chinese in zip(rows(ENGLISH), rows(CHINESE), strict=True):
        assert sorted(chinese) == sorted(english)


@pytest.mark.parametrize("level", ["#", "##"])
def test_headings_are_as_many(level: str) -> None:
    counts = [len(re.findall(rf"^{level} ", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M))
              for text in (ENGLISH, CHINESE)]  # fmt: skip
    assert counts[0] == counts[1] > 0
