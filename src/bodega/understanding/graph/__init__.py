"""What is in a shop, and how does it hang together? A graph of items, brands, categories, values, needs and queries.

    world, counts -> building -> KnowledgeGraph -> embedding (ComplEx) -> linking (which links are missing)
                                                -> paths (how two things are connected, in words)

`retrieval/knowledge` serves it, `Shop.relations` and `bodega graph` show it. Not for: taking part in an answer itself.
"""

from bodega.understanding.graph.building import Behaviour, GraphOptions, build
from bodega.understanding.graph.graph import KnowledgeGraph
from bodega.understanding.graph.kinds import BESIDE, GIVEN, INSTEAD, LISTED, RELATIONS

__all__ = ["BESIDE", "GIVEN", "INSTEAD", "LISTED", "RELATIONS", "Behaviour", "GraphOptions", "KnowledgeGraph", "build"]
