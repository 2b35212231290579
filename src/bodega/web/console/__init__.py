"""The console: pages at `/console/...` for the people who run a shop, drawn by the browser from `/v1/...`.

Like the storefront it is an ordinary customer of the HTTP API, with the rights of the admin key that somebody signed in
with (a cookie that only this host gets). The server sends one small shell, all texts of a language, and static files:
vanilla ES modules under a strict content security policy. Charts (Apache ECharts) and tables (Tabulator) come out of
installed packages, pinned by their bytes (`vendor`); without them the shell says what to install. Not here: answers,
keys, settings, which live in `service`.
"""

from bodega.web.console.handlers import ConsoleOptions, console_handlers

__all__ = ["ConsoleOptions", "console_handlers"]
