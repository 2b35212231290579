"""Bodega in a page that is there already: two scripts at `/client/...`, a client and two elements, without a build.

`bodega.js` asks for lists and tells events (under 5 kB on the wire), `bodega-elements.js` is a search box and a list as
custom elements. Not for: a whole shop front (`web.storefront`).
"""

from bodega.web.client.scripts import Script, Scripts, client_handlers, snippet

__all__ = ["Script", "Scripts", "client_handlers", "snippet"]
