"""Product text is untrusted: some five hundred hostile texts as titles, brands, attributes, ids, photos, reasons,
suggestions and addresses, shown in a real Chromium. None may become code, markup, or a request to somebody else.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.browser

PAYLOADS = [
    "<script>window.__xss=1</script>",
    "</script><script>window.__xss=1</script>",
    "<img src=x onerror=window.__xss=1>",
    "<img src=x onerror=alert(1)//",
    '"><img src=x onerror=window.__xss=1>',
    "'><svg onload=window.__xss=1>",
    "<svg><script>window.__xss=1</script></svg>",
    "<svg/onload=window.__xss=1>",
    "<svg><animate onbegin=window.__xss=1 attributeName=x dur=1s>",
    "<body onload=window.__xss=1>",
    "<iframe src=javascript:parent.__xss=1></iframe>",
    '<iframe srcdoc="<script>parent.__xss=1</script>"></iframe>',
    "<details open ontoggle=window.__xss=1>x</details>",
    "<input autofocus onfocus=window.__xss=1>",
    "<video><source onerror=window.__xss=1></video>",
    "<math><mtext></p><img src=x onerror=window.__xss=1></mtext></math>",
    "<a href=javascript:window.__xss=1>x</a>",
    "<form action=javascript:window.__xss=1><button>x</button></form>",
    "<base href=//evil.invalid/>",
    "<link rel=stylesheet href=//evil.invalid/x.css>",
    "<style>*{background:url(//evil.invalid/x)}</style>",
    "<meta http-equiv=refresh content=0;url=//evil.invalid>",
    "<object data=//evil.invalid/x></object>",
    "<template><img src=x onerror=window.__xss=1></template>",
    "<noscript><p title='</noscript><img src=x onerror=window.__xss=1>'>",
    "javascript:window.__xss=1",
    "JaVaScRiPt:window.__xss=1//",
    "java\nscript:window.__xss=1",
    "\u0001javascript:window.__xss=1",
    "data:text/html,<script>parent.__xss=1</script>",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='window.__xss=1'/>",
    "vbscript:window.__xss=1",
    "blob:null/x",
    "{{constructor.constructor('window.__xss=1')()}}",
    "${window.__xss=1}",
    "__proto__",
    "constructor",
    "toString",
    "' onmouseover='window.__xss=1",
    "` onclick=window.__xss=1 `",
    "&lt;script&gt;window.__xss=1&lt;/script&gt;",
    "&#60;img src=x onerror=window.__xss=1&#62;",
    "%3Cscript%3Ewindow.__xss=1%3C/script%3E",
    "\u202e\u2066<script>window.__xss=1</script>",
    "expression(window.__xss=1)",
    ");}*{background:url(javascript:window.__xss=1)",
]

CHECK = """
() => {
  const problems = [];
  if ('__xss' in window) problems.push('code ran');
  for (const el of document.querySelectorAll('*')) {
    for (const {name, value} of el.attributes) {
      if (/^on/i.test(name)) problems.push(`${el.tagName} ${name}`);
      if (/^(href|src|action|formaction|data|xlink:href)$/.test(name)) {
        const at = new URL(value, location.href);
        const ours = /^https?:$/.test(at.protocol) && at.host === location.host;
        if (!ours) problems.push(`${el.tagName} ${name}=${value}`);
      }
      if (name === 'srcdoc' || name === 'is') problems.push(name);
    }
    if (el.matches('iframe, object, embed, base, meta[http-equiv], template, math, details, video, animate'))
      problems.push(el.tagName);
    if (el.matches('body style, body link')) problems.push(el.tagName);
  }
  const scripts = [...document.scripts].filter((s) => s.type !== 'application/json');
  if (scripts.length !== 1) problems.push(`${scripts.length} scripts`);
  if (({}).polluted || Object.keys(Object.prototype).length) problems.push('prototype');
  return problems;
}
"""


SAID = {
    "understood": [
        {"kind": text, "text": text, "field": text, "values": [text], "hard": True, "excludes": number % 2 == 0}
        for number, text in enumerate(PAYLOADS)
    ],
    "relaxed": PAYLOADS + [f"words: {text}" for text in PAYLOADS],
    "banners": [{"text": text, "url": text, "image": text, "rule": text} for text in PAYLOADS]
    + [{"text": text} for text in PAYLOADS],
    "related": PAYLOADS,
}
"""What a page says beside its hits, every text of it an attack."""


def hostile_item(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"{number} {text}",
        "title": text,
        "description": text,
        "brand": text,
        "category": [text, text],
        "price": 1.0 + number,
        "currency": text,
        "availability": "in_stock",
        "images": [text, f"javascript:window.__xss={number}"],
        "attributes": {text: text, "size": text[:9], "colour": [text, text], "flag": True},
        "options": {text: text},
        "tags": [text],
        "seller": text,
        "url": text,
    }


@pytest.fixture
def hostile(shop: Any) -> Any:
    """A shop in which every text is an attack."""
    shop.items = [hostile_item(number, text) for number, text in enumerate(PAYLOADS)]
    shop.suggestions = [
        {"text": text, "kind": kind, "item": text} for text in PAYLOADS for kind in ("item", "query", text)
    ]
    plain = shop.page

    def page(*args: Any, **named: Any) -> dict[str, Any]:
        answer: dict[str, Any] = plain(*args, **named)
        for number, hit in enumerate(answer["hits"]):
            text = PAYLOADS[number % len(PAYLOADS)]
            hit["why"] = [
                {
                    "source": text,
                    "share": 0.7,
                    "text": text,
                    "because": [text],
                    "evidence": [{"kind": "word", "text": text, "field": text}, {"kind": text, "text": text}],
                },
                {"source": text, "share": "x", "text": ""},
            ]
        return {**answer, **SAID, "corrected": PAYLOADS[3], "degraded": PAYLOADS, "request_id": PAYLOADS[0]}

    shop.page = page
    return shop


def test_there_are_some_five_hundred() -> None:
    fields = sum(len(str(value)) > 3 for value in hostile_item(1, PAYLOADS[0]).values())
    assert len(set(PAYLOADS)) >= 45
    assert len(PAYLOADS) * fields >= 500


@pytest.mark.parametrize("width", [pytest.param(390, marks=pytest.mark.slow), 1280])
def test_hostile_texts_stay_texts(visit: Any, site: str, hostile: Any, width: int) -> None:
    # Photos that are no pictures of this host are asked for and missed; nothing else may be complained about.
    visit.tabs.allowed = ("404", "ERR_NAME_NOT_RESOLVED")
    page = visit(f"{site}/search?n=192", width=width)
    assert page.locator("#results .card").count() == len(PAYLOADS)
    titles = page.locator("#results .title a").all_text_contents()
    assert titles == [text.replace("\n", "\n") for text in PAYLOADS], "shown as they are"
    assert page.evaluate(CHECK) == []
    for card in range(0, len(PAYLOADS), 9):
        page.locator("#results .why-button").nth(card).click()
        assert page.evaluate(CHECK) == []
        page.keyboard.press("Escape")
        page.locator("#results .add").nth(card).click()
    page.fill("#q", "<script>")
    page.wait_for_selector(".option")
    assert page.locator(".option").count() == len(hostile.suggestions)
    assert page.evaluate(CHECK) == []
    page.goto(f"{site}/basket")
    page.wait_for_selector(".line")
    assert page.evaluate(CHECK) == []
    page.goto(site)
    page.wait_for_selector("main[data-ready]")
    page.wait_for_selector(".department")
    page.click("#you")
    assert page.evaluate(CHECK) == []


def test_hostile_product_pages(visit: Any, site: str, hostile: Any) -> None:
    visit.tabs.allowed = ("404", "ERR_NAME_NOT_RESOLVED")
    page = visit(site)
    for number in range(0, len(PAYLOADS), 4):
        page.goto(f"{site}/item/{quote(f'{number} {PAYLOADS[number]}', safe='')}")
        page.wait_for_selector(".product")
        assert page.locator("h1").text_content() == PAYLOADS[number]
        page.wait_for_selector("main[data-ready]")
        assert page.evaluate(CHECK) == [], PAYLOADS[number]


def test_hostile_addresses(visit: Any, site: str, hostile: Any) -> None:
    visit.tabs.allowed = ("404", "ERR_NAME_NOT_RESOLVED")
    page = visit(site)
    for text in PAYLOADS[::4]:
        each = quote(text, safe="")
        page.goto(
            f"{site}/search?q={each}&f.{each}={each}&f.brand={each}&f.price={each}&sort={each}&n={each}&user={each}"
        )
        page.wait_for_selector("main[data-ready]")
        assert page.locator("h1").count() == 1
        assert page.evaluate(CHECK) == [], text


def test_the_browser_itself_would_refuse(visit: Any, site: str) -> None:
    visit.tabs.allowed = ("TrustedHTML", "Content Security Policy", "Trusted Type")
    page = visit(site)
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<img src=x>'; return false; } catch { return true; } }"
    )
    assert refused
    page.evaluate("() => document.body.append(document.createElement('iframe'))")
    assert page.evaluate(CHECK) == ["IFRAME"], "the check sees what it looks for"


@pytest.mark.parametrize(
    "to",
    ["//evil.invalid/x", "/\\evil.invalid/x", "\\\\evil.invalid", "/\t/evil.invalid", "\t//evil.invalid",
     "https:evil.invalid", "http:///evil.invalid", "evil.invalid", "ftp://evil.invalid", "http://", "/search?q=milk",
     *(text for text in PAYLOADS if ":" in text)],
)  # fmt: skip
def test_a_redirect_goes_only_where_a_rule_may_send(redirected: Any, site: str, shop: Any, to: str) -> None:
    """Only paths of this host and whole http(s) addresses are followed; never the page itself again."""
    shop.telling["milk"] = {"redirect": to}
    redirected.goto(f"{site}/search?q=milk")
    redirected.wait_for_selector("main[data-ready]")
    redirected.wait_for_timeout(20)
    assert redirected.url == f"{site}/search?q=milk"
    assert redirected.locator("#results .card").count() == 3
    assert redirected.evaluate(CHECK) == []


@pytest.fixture(scope="module")
def tab(browser: Any) -> Any:
    """One page for all redirects: opening one takes longer than the test."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def redirected(tab: Any) -> Any:
    """The shared page, with whatever asks for another host noted."""
    asked: list[str] = []
    tab.on("request", lambda request: "evil" in request.url.split("?")[0] and asked.append(request.url))
    yield tab
    assert asked == []


def test_a_redirect_that_goes_in_circles_ends(visit: Any, site: str, shop: Any) -> None:
    shop.telling["milk"] = {"redirect": "/search?q=butter"}
    shop.telling["butter"] = {"redirect": "/search?q=milk"}
    page = visit(f"{site}/search?q=milk")
    page.wait_for_selector("#results .card")
    assert len([ask for path, ask in shop.asked if path == "search" and ask["query"]]) <= 5
