"""Can everybody use it? Names, landmarks, headings, contrast, keyboard, focus, target size, narrow screens, dark mode.

The names are those that Chromium itself computes for assistive technology; contrast is computed from what is painted.
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser

PAGES = {
    "home": "/",
    "results": "/search?q=c&f.brand=Aunt%20May",
    "nothing": "/search?q=unobtainium",
    "typo": "/search?q=mlik",
    "understood": "/search?q=cheap%20milk",
    "product": "/item/p29",
    "sold out": "/item/p5",
    "basket": "/basket",
    "privacy": "/privacy",
}

TOLD = {
    "corrected": "cheap milks",
    "understood": [{"kind": "price", "text": "cheap", "start": 0, "end": 5, "high": 3.0, "hard": True},
                   {"kind": "not", "text": "elsewhere", "values": ["soy"], "hard": True, "excludes": True}],
    "relaxed": ["words: 1 of 2", "price"],
    "banners": [{"text": "Milk week", "url": "/search?q=milk"}, {"text": "No more cheese"}],
    "related": ["oat milk", "butter"],
}  # fmt: skip

CONTRAST = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = (color) => { canvas.clearRect(0,0,1,1); canvas.fillStyle = color; canvas.fillRect(0,0,1,1);
    const [r,g,b,a] = canvas.getImageData(0,0,1,1).data; return [r,g,b,a/255]; };
  const over = ([r,g,b,a], [R,G,B]) => [r*a+R*(1-a), g*a+G*(1-a), b*a+B*(1-a), 1];
  const lum = ([r,g,b]) => { const f = (v) => { v/=255; return v<=0.04045 ? v/12.92 : ((v+0.055)/1.055)**2.4; };
    return 0.2126*f(r)+0.7152*f(g)+0.0722*f(b); };
  const ratio = (a, b) => { const [x,y] = [lum(a),lum(b)].sort((p,q)=>q-p); return (x+0.05)/(y+0.05); };
  const grounds = (el) => {  // every colour that may lie behind the element
    let layers = [];
    for (let at = el; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const stops = style.backgroundImage.match(/(?:rgba?|oklch|color)\\([^)]*\\)/g);
      const under = (ground) => layers.reduceRight((below, layer) => over(layer, below), ground);
      if (stops && !at.matches('.awning')) return stops.map((stop) => under(rgba(stop)));
      // The header is painted by its ::before.
      const painted = at.matches('.top') ? getComputedStyle(at, '::before') : style;
      const own = rgba(painted.backgroundColor);
      layers.push(own);
      if (own[3] === 1) break;
    }
    return [layers.reduceRight((below, layer) => over(layer, below), [255,255,255,1])];
  };
  const bad = [];
  let checked = 0;
  const check = (el, style, text) => {
    const size = parseFloat(style.fontSize), bold = +style.fontWeight >= 700;
    const need = size >= 24 || (size >= 18.66 && bold) ? 3 : 4.5;
    for (const ground of grounds(el)) {
      checked++;
      const got = ratio(over(rgba(style.color), ground), ground);
      if (got < need) bad.push(`${text.trim().slice(0, 30)}: ${got.toFixed(2)} (${el.className || el.tagName})`);
    }
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const el = node.parentElement;
    if (!node.textContent.trim() || el.closest('svg, script, noscript, .vh, [hidden], :disabled, .skip')) continue;
    if (!el.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    check(el, getComputedStyle(el), node.textContent);
  }
  for (const input of document.querySelectorAll('input[placeholder]'))
    check(input, {...getComputedStyle(input, '::placeholder'), color: getComputedStyle(input, '::placeholder').color,
      fontSize: getComputedStyle(input).fontSize, fontWeight: '400'}, input.placeholder);
  return {bad: [...new Set(bad)], checked};
}
"""

STRUCTURE = """
() => {
  const shown = (el) => el.checkVisibility({visibilityProperty: true});
  const all = (what) => [...document.querySelectorAll(what)].filter(shown);
  const ids = [...document.querySelectorAll('[id]')].map((el) => el.id);
  const levels = all('h1,h2,h3,h4').map((el) => +el.tagName[1]);
  const refs = ['aria-labelledby', 'aria-controls', 'aria-activedescendant'];
  const small = all('a[href], button, input, select').filter((el) => {
    if (el.closest('p, .crumbs, .vh, .skip') || el.matches('.seen, .vh')) return false;
    const box = (el.closest('label') || el).getBoundingClientRect();
    return el.matches('.title a, .line a, .facts .brand') ? false : Math.min(box.width, box.height) < 24;
  }).map((el) => el.outerHTML.slice(0, 80));
  const name = (el) => el.getAttribute('aria-label') || el.getAttribute('aria-labelledby');
  return {
    h1: all('h1').length, skipped: levels.some((level, n) => n && level > levels[n - 1] + 1), first: levels[0],
    twice: ids.filter((id, n) => ids.indexOf(id) !== n),
    dangling: refs.flatMap((ref) => [...document.querySelectorAll(`[${ref}]`)].map((el) => el.getAttribute(ref)))
      .filter((id) => !['why-title', 'variant-title'].includes(id) && !document.getElementById(id)),
    marks: ['header', 'main', 'footer', '[role=search]', 'nav'].filter((what) => !all(what).length),
    unnamed: all('nav, section, [role=region], [role=group]').filter((el) => !name(el)).map((el) => el.className),
    wide: document.documentElement.scrollWidth - innerWidth, small,
    alt: all('img').filter((img) => !img.hasAttribute('alt')).length,
  };
}
"""

NAMED = {"button", "link", "combobox", "checkbox", "switch", "spinbutton", "searchbox", "textbox", "dialog", "listbox"}


def nameless(page: Any) -> list[str]:
    """Controls without a name in Chromium's accessibility tree."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    controls = [node for node in nodes if not node.get("ignored") and node["role"]["value"] in NAMED]
    assert len(controls) > 5
    return [node["role"]["value"] for node in controls if not node.get("name", {}).get("value", "").strip()]


def fill_basket(page: Any, site: str) -> None:
    page.goto(f"{site}/item/p29")
    page.locator(".buy .button").click()
    page.click("#basket")
    page.wait_for_selector(".line")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)])
def test_every_page(visit: Any, site: str, shop: Any, width: int, scheme: str) -> None:
    shop.telling["cheap milk"] = TOLD
    page = visit(site, width=width, color_scheme=scheme)
    wrong: dict[str, Any] = {}
    for name, path in PAGES.items():
        page.goto(site + path)
        page.wait_for_selector("main[data-ready]")
        if name == "basket":
            fill_basket(page, site)
        found, contrast = page.evaluate(STRUCTURE), page.evaluate(CONTRAST)
        assert contrast["checked"] > 20
        problems = [
            *(f"a {role} without a name" for role in nameless(page)),
            *(f"{what}: {found[what]}" for what in ("twice", "dangling", "marks", "unnamed", "small") if found[what]),
            *(
                [f"{found['h1']} h1, first heading h{found['first']}"]
                if (found["h1"], found["first"]) != (1, 1)
                else []
            ),
            *(["a heading level is skipped"] if found["skipped"] else []),
            *([f"scrolls sideways by {found['wide']} px"] if found["wide"] > 0 else []),
            *([f"{found['alt']} pictures without alt"] if found["alt"] else []),
            *contrast["bad"],
        ]
        if problems:
            wrong[name] = problems
    assert wrong == {}


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_panels_and_toast(visit: Any, site: str, scheme: str) -> None:
    page = visit(f"{site}/item/p29", color_scheme=scheme)
    page.goto(site)
    page.wait_for_selector("main[data-ready]")
    for opener in ("#you", ".why-button"):
        page.locator(opener).first.click()
        assert page.locator(".panel:popover-open").count() == 1
        assert page.evaluate(CONTRAST)["bad"] == []
        assert nameless(page) == []
        page.keyboard.press("Escape")
    page.locator(".add").first.click()
    page.fill("#q", "choc")
    page.wait_for_selector(".option")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(CONTRAST)["bad"] == []


def test_the_contrast_check_sees_what_is_wrong(visit: Any, site: str) -> None:
    page = visit(site)
    page.evaluate("document.querySelector('.shelf-head p').style.color = '#999'")
    assert page.evaluate(CONTRAST)["bad"]
    page.evaluate("document.querySelector('.add').removeAttribute('aria-label')")
    assert nameless(page) == ["button"]


def test_skip_link_and_tab_order(visit: Any, site: str) -> None:
    page = visit(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0, "the skip link shows when it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "department"
    page.reload()
    page.wait_for_selector("main[data-ready]")
    stops = []
    for _ in range(22):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate("""() => { const el = document.activeElement, style = getComputedStyle(el);
                const after = getComputedStyle(el, '::after');
                const ring = [style, after].some((s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2);
                return [el.id || el.className || el.tagName, ring]; }""")
        )
    order = [name for name, _ in stops]
    assert order[:7] == ["skip", "logo", "q", "photo", "BUTTON", "language", "you"]
    assert [name for name, ring in stops if not ring] == [], "a stop without a visible focus"


def test_whole_purchase_by_keyboard(visit: Any, site: str, shop: Any) -> None:
    page = visit(site)
    page.keyboard.press("/")
    page.keyboard.type("cheddar")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results .card")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.locator("#results .title a").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".product")
    page.locator(".buy .button").focus()
    page.keyboard.press("Space")
    page.locator("#basket").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".line")
    page.get_by_role("button", name="Check out").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".ordered")
    assert page.locator("#toast").inner_text() == "Thank you for your order."


def test_very_narrow_and_long_words(visit: Any, site: str, shop: Any) -> None:
    long = "Supercalifragilisticexpialidocious" * 4
    shop.items.insert(0, {"id": "x", "title": long, "brand": long, "category": [long, long], "price": 1234567.89,
                          "attributes": {long[:60]: long}, "description": long * 9})  # fmt: skip
    for path in ("/", "/item/x", "/search", f"/search?q={long}"):
        page = visit(site + path, width=320, height=640)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path


def test_reduced_motion_is_respected(visit: Any, site: str) -> None:
    moving = """() => [...document.querySelectorAll('.card, .department .pic')]
        .filter((el) => /[1-9]/.test(getComputedStyle(el).transitionDuration)).length"""
    assert visit(site).evaluate(moving) == 0
    assert visit(site, reduced_motion="no-preference").evaluate(moving) > 0
