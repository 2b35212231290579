"""Which addresses make up the console? One shell for all of its pages, and the static files. Both are public.

What is behind them is not: the pages draw everything from `/v1/...`, which asks for an admin's rights. The handlers go
into the service's application: `create_app(shop, handlers=console_handlers(options))`. Cost: the shell is rendered once
a language when the server starts; a request only picks bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import SimpleCookie

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from bodega.web.console.assets import PREFIX, Assets
from bodega.web.console.shell import LANGUAGES, PageFacts, render
from bodega.web.console.vendor import INSTALL, missing
from bodega.web.files import Shell, answered

COOKIE = "bodega_lang"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data: blob: https: http:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        # A string becomes markup only where `lib/trust.js` knows it: a handful of constants of the table library.
        "require-trusted-types-for 'script'",
        "trusted-types default",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """What a shop decides about its console: its name, the first language (`en`, `zh`), the currency of sums."""

    shop_name: str = "Bodega"
    language: str = "en"
    currency: str = "USD"


def console_handlers(options: ConsoleOptions) -> list[HTTPRouteHandler]:
    """Route handlers of the console, ready for a Litestar application."""
    assets = Assets.load()
    facts = PageFacts(options.shop_name, options.currency, tuple(missing()), INSTALL)
    pages = {language: Shell.of(render(facts, language, assets)) for language in LANGUAGES}

    @get(
        ["/console", "/console/{page:path}"],
        include_in_schema=False,
        sync_to_thread=False,
        opt={"public": True},
        name="console",
    )
    def shell(request: Request[object, object, State]) -> Response[bytes]:
        asked = request.query_params.get("lang", "")
        language = next(
            (each for each in (asked, request.cookies.get(COOKIE, ""), options.language) if each in LANGUAGES), "en"
        )
        headers = {**HEADERS, "Cache-Control": "no-cache", "Content-Language": language}
        if asked in LANGUAGES:
            headers["Set-Cookie"] = _cookie(asked)
        return pages[language].answered(request, headers)

    @get(
        PREFIX + "/{version:str}/{name:path}",
        include_in_schema=False,
        sync_to_thread=False,
        opt={"public": True},
        name="console_static",
    )
    def static(request: Request[object, object, State]) -> Response[bytes]:
        version, name = request.path_params["version"], str(request.path_params["name"]).lstrip("/")
        asset = assets.find(name)
        if asset is None:
            raise NotFoundException(detail=f"the console has no file named {name!r}")
        return answered(request, asset, lasting=version == assets.version)

    return [shell, static]


def _cookie(language: str) -> str:
    jar: SimpleCookie = SimpleCookie()
    jar[COOKIE] = language
    jar[COOKIE].update({"path": "/", "max-age": str(365 * 86_400), "samesite": "Lax"})
    return jar[COOKIE].OutputString()
