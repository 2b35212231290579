"""Which few hundred items could be right? One idea a file, each a `protocols.Source`; they are strangers to each other.

Useful for: adding a way to find items. Not for: deciding their final order (`ranking`) or what a page shows (`engine`).
Import the files, not this room: `from bodega.retrieval.lexical import Lexical`.
"""
