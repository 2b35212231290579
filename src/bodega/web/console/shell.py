"""What does the server send before any script runs? One html shell: landmarks, all texts of a language, and facts.

Every page has its own files of texts (`strings/<page>.<language>.json`), merged here; two files may not hold the same
key. `shell.html` is a `string.Template`; what enters it is escaped for html, and the facts travel as JSON in a
`<script type="application/json">` block, which a browser never runs.
"""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from string import Template

from bodega.errors import BadSettings
from bodega.web.console.assets import Assets

LANGUAGES = ("en", "zh")
HTML_LANG = {"en": "en", "zh": "zh-CN"}
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the scripts are told before anybody signed in: nothing that a stranger may not know."""

    shop_name: str
    currency: str
    missing: tuple[str, ...]
    """Packages that are missing for charts and tables."""
    install: str
    """The command that installs them."""


def strings(language: str) -> dict[str, str]:
    """All texts of one language, by key. `{name}` marks a value; `key.one` is used for n = 1. Raises BadSettings."""
    merged: dict[str, str] = {}
    folder = files(__package__).joinpath("strings")
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if not entry.name.endswith(f".{language}.json"):
            continue
        loaded: dict[str, str] = json.loads(entry.read_text("utf-8"))
        twice = merged.keys() & loaded.keys()
        if twice:
            raise BadSettings(
                "two pages of the console hold the same text", where=entry.name, got=", ".join(sorted(twice))
            )
        merged |= loaded
    return merged


def render(facts: PageFacts, language: str, assets: Assets) -> bytes:
    """The shell in one language, as UTF-8."""
    words = strings(language)
    values = {f"t_{key.replace('.', '_')}": html.escape(words[key]) for key in words if key.startswith("shell.")}
    values["lang"] = HTML_LANG[language]
    values["other"] = "zh" if language == "en" else "en"
    values["shop"] = html.escape(facts.shop_name)
    values |= {
        name: assets.url(f"{name}.{kind}") for name, kind in (("console", "css"), ("icon", "svg"), ("app", "js"))
    }
    values["theme"] = assets.url("theme.js")
    values["preload"] = "\n".join(f'<link rel="modulepreload" href="{url}">' for url in assets.frame)
    values["facts"] = as_script_json({**asdict(facts), "language": HTML_LANG[language], "strings": words})
    template = files(__package__).joinpath("shell.html").read_text("utf-8")
    return Template(template).substitute(values).encode()


def as_script_json(value: object) -> str:
    """JSON that cannot end its script element, whatever the texts hold: `<`, `>` and `&` become escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(ESCAPES)
