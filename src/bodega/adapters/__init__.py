"""Where do the bytes live, which machines work? Stores and engines behind the protocols; only wiring picks among them.

`sql` keeps the catalog, the events, the dead letters and the keys; `analytics` answers questions over all events.
"""
