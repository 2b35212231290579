"""The shop front: real pages at `/`, `/search`, `/item/{id}` and `/basket`, drawn by the browser from `/v1/...`.

The server sends one small shell (html, strings, a search key) and static files; everything else is vanilla ES modules
in `static/`, under a strict content security policy. Cost: about 50 kB on the wire, once; no build step, nothing
fetched from elsewhere. It is not a shop system: the check-out only records purchases.
"""

from bodega.web.storefront.handlers import StorefrontOptions, storefront_handlers

__all__ = ["StorefrontOptions", "storefront_handlers"]
