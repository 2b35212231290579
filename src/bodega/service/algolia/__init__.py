"""How do programs ask that speak Algolia? Its search and insights protocol over the shop, so that InstantSearch runs.

    handlers     the addresses: multi-query, one query, facet values, one record, events
    parameters   what was asked, from whatever it was wrapped in
    filters      four kinds of filters -> one condition                       conditions, fields
    answering    query -> Request -> page -> answer                           hits, highlight, counts
    insights     click, conversion, view -> events

Keys, paths and errors differ too: `service/border.py` sees to them, before the gate.

Useful for: shops that leave Algolia, pages made with InstantSearch, Algolia's client libraries. Not for: indexing,
settings, rules and synonyms of Algolia; items come in through the shop's own doors. docs/algolia.md is its reference.
"""
