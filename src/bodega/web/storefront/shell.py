"""What does the server send before any script runs? One html shell: landmarks, strings, and the facts scripts need.

`shell.html` is a `string.Template`; every value that enters it is escaped for html, and the facts travel as JSON in a
`<script type="application/json">` block, which a browser never runs. Not a template engine: there is no logic in it.
"""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from string import Template

from bodega.web.storefront.assets import Assets

LANGUAGES = ("en", "zh")
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
HTML_LANG = {"en": "en", "zh": "zh-CN"}


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the scripts are told; all of it is public."""

    shop_name: str
    api: str
    key: str
    currency: str
    facets: tuple[str, ...]
    shoppers: tuple[str, ...]


def strings(language: str) -> dict[str, str]:
    """All interface texts of one language, by key. `{name}` marks a value; `key.one` is the singular of `key`."""
    text = files(__package__).joinpath(f"strings.{language}.json").read_text("utf-8")
    loaded: dict[str, str] = json.loads(text)
    return loaded


def render(facts: PageFacts, language: str, assets: Assets) -> bytes:
    """The shell in one language, as UTF-8."""
    words = strings(language)
    values = {f"t_{key.replace('.', '_')}": html.escape(text) for key, text in words.items()}
    values["lang"] = HTML_LANG[language]
    values["shop"] = html.escape(facts.shop_name)
    values["css"] = assets.url("shop.css")
    values["icon"] = assets.url("icon.svg")
    values["app"] = assets.url("app.js")
    values["preload"] = "\n".join(f'<link rel="modulepreload" href="{url}">' for url in assets.modules)
    values["other"] = "zh" if language == "en" else "en"
    values["facts"] = as_script_json({**asdict(facts), "language": HTML_LANG[language], "strings": words})
    template = files(__package__).joinpath("shell.html").read_text("utf-8")
    return Template(template).substitute(values).encode()


def as_script_json(value: object) -> str:
    """JSON that cannot end its script element, whatever the texts hold: `<`, `>` and `&` become escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(ESCAPES)
