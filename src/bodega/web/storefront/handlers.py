"""Which addresses make up the shop front? The pages (one shell for all of them) and the static files.

The handlers go into the service's application: `create_app(shop, handlers=storefront_handlers(options))`. The key that
is put in the page is public by nature: give it the scopes `search` and `events` only. Cost: a page is about 12 kB,
rendered once a language when the server starts; a request only picks bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.handlers import HTTPRouteHandler

from bodega.errors import BadSettings
from bodega.web.files import Shell, answered
from bodega.web.storefront.assets import Assets
from bodega.web.storefront.shell import LANGUAGES, PageFacts, render

COOKIE = "bodega_lang"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' https: http:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        # No string ever becomes markup or code: the browser itself refuses innerHTML, eval and the like.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


VISIT = re.compile(r"s-[0-9a-f]{24}")
"""Ids of visits as the shop front's own pages make them: 96 random bits, which nobody guesses."""


@dataclass(frozen=True, slots=True)
class StorefrontOptions:
    """What a shop decides about its front.

    `api_key` holds the scopes search and events; it is visible to every visitor. `language` is the one shown first
    (`en` or `zh`), `currency` (ISO 4217) is used for items that name none. `facets` are always asked for; the
    shop adds the attributes that divide what was found best. `shoppers` are ids offered under "shop as", for
    demonstrations.
    """

    api_key: str = ""
    shop_name: str = "Bodega"
    language: str = "en"
    currency: str = "USD"
    facets: tuple[str, ...] = ("category", "brand", "price")
    shoppers: tuple[str, ...] = ()
    token: Callable[[str], str] | None = None
    """Makes a token for the guest of a visit, with which its page reads and erases what is kept of it."""
    api: str = "/v1"
    """Where the HTTP API lives, on this very host."""


def storefront_handlers(options: StorefrontOptions) -> list[HTTPRouteHandler]:
    """Route handlers of the shop front, ready for a Litestar application. Raises BadSettings."""
    _check(options)
    assets = Assets.load()
    facts = PageFacts(
        shop_name=options.shop_name,
        api=options.api,
        key=options.api_key,
        currency=options.currency,
        facets=options.facets,
        shoppers=options.shoppers,
    )
    pages = {language: Shell.of(render(facts, language, assets)) for language in LANGUAGES}

    @get(
        ["/", "/search", "/basket", "/privacy", "/item/{item_id:path}"],
        include_in_schema=False,
        sync_to_thread=False,
        opt={"public": True},
        name="storefront",
    )
    def page(request: Request[object, object, State]) -> Response[bytes]:
        asked = request.query_params.get("lang", "")
        language = next(
            (each for each in (asked, request.cookies.get(COOKIE, ""), options.language) if each in LANGUAGES), "en"
        )
        headers = {**HEADERS, "Cache-Control": "no-cache", "Content-Language": language}
        if asked in LANGUAGES:
            headers["Set-Cookie"] = _cookie(asked)
        return pages[language].answered(request, headers)

    return [page, _static(assets), _token(options)]


def _static(assets: Assets) -> HTTPRouteHandler:
    """The files that pages load."""

    @get(
        "/static/storefront/{version:str}/{name:str}",
        include_in_schema=False,
        sync_to_thread=False,
        opt={"public": True},
        name="storefront_static",
    )
    def static(request: Request[object, object, State]) -> Response[bytes]:
        version, name = request.path_params["version"], request.path_params["name"]
        asset = assets.files.get(name)
        if asset is None:
            raise NotFoundException(detail=f"the shop front has no file named {name!r}")
        return answered(request, asset, lasting=version == assets.version)

    return static


def _token(options: StorefrontOptions) -> HTTPRouteHandler:
    """What lets a page read and erase what is kept of its visit."""

    @post(
        "/storefront/token",
        include_in_schema=False,
        opt={"public": True},
        name="storefront_token",
        status_code=200,
    )
    async def token(request: Request[object, object, State]) -> Response[bytes]:
        """What lets this browser see and erase its own visit. Whoever knows the 96 random bits of a visit's id is that
        browser; they stand in no page, no cookie and no log of ours."""
        visit = _visit_in(await request.body())
        if options.token is None or not visit:
            raise NotFoundException(detail="this shop front gives no tokens for such a visit")
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise PermissionDeniedException(detail="only the shop front's own pages may ask for a token")
        body = json.dumps({"token": options.token(visit)}).encode()
        return Response(body, media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})

    return token


def _check(options: StorefrontOptions) -> None:
    if options.language not in LANGUAGES:
        raise BadSettings(
            "the shop front does not speak this language",
            where="StorefrontOptions.language",
            allowed=", ".join(LANGUAGES),
            got=options.language,
            next="choose one of them",
        )
    if not (len(options.currency) == 3 and options.currency.isascii() and options.currency.isalpha()):
        raise BadSettings(
            "a currency is a three-letter code",
            where="StorefrontOptions.currency",
            allowed="ISO 4217, e.g. USD, EUR, CNY",
            got=options.currency,
            next="correct the currency",
        )
    if not options.api.startswith("/") or options.api.startswith("//"):
        raise BadSettings(
            "the pages may only call the host they come from",
            where="StorefrontOptions.api",
            allowed="a path such as /v1",
            got=options.api,
            next="serve the pages and the API from one host",
        )


def _visit_in(body: bytes) -> str:
    """The visit that a body names, as our own pages make them; "" for anything else."""
    try:
        said = json.loads(body[:1_000])
    except ValueError:
        return ""
    visit = said.get("session") if isinstance(said, dict) else None
    return visit if isinstance(visit, str) and VISIT.fullmatch(visit) else ""


def _cookie(language: str) -> str:
    jar: SimpleCookie = SimpleCookie()
    jar[COOKIE] = language
    jar[COOKIE].update({"path": "/", "max-age": str(365 * 86_400), "samesite": "Lax"})
    return jar[COOKIE].OutputString()
