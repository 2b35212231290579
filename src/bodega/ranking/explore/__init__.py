"""What should be tried out, how much of it, and what came of it? Bandits for the slots of a page.

    beliefs    what is believed of each item: clicks for having been seen, kept with decay; what items have in common
    policies   which arm of a slot, with which exact chance: epsilon, Thompson, LinUCB, cascading
    slots      which slots of this page, against which challengers, inside the budget; the draw, and its replay

Useful for: items that nobody saw yet, and for knowing what another order would have earned (`evaluation.off_policy`).
Not for: raising today's clicks; trying costs some, and `bodega bench exploration` prints how much
(docs/decisions/0034-exploration.md).
"""

from bodega.ranking.explore.beliefs import FEATURES, Beliefs, examination
from bodega.ranking.explore.policies import Arms, chances
from bodega.ranking.explore.slots import Field, Trial, arranged, drawn, trial

__all__ = ["FEATURES", "Arms", "Beliefs", "Field", "Trial", "arranged", "chances", "drawn", "examination", "trial"]
