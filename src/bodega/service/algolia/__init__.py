"""How do programs ask that speak Algolia? Its search and insights protocol over the shop, so that InstantSearch runs.

    border       keys, paths and errors, where they differ from ours         (used by the gate)
    handlers     the addresses: multi-query, one query, facet values, one record, events
    parameters   what was asked, from whatever it was wrapped in
    filters      four kinds of filters -> one condition                       conditions, fields
    answering    query -> Request -> page -> answer                           hits, highlight, counts
    insights     click, conversion, view -> events

Useful for: shops that leave Algolia, pages made with InstantSearch, Algolia's client libraries. Not for: indexing,
settings, rules and synonyms of Algolia; items come in through the shop's own doors. docs/algolia.md is its reference.
"""
