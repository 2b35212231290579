"""Which of the matches does the shopper want to see, and what can they choose from? Filters, facets, order, variants.

Pure functions on the columns of a shelf; rows are shelf rows without repeats, best first.
- A filter on a text field keeps items that carry one of its values (a category keeps everything below it); a filter on
  a number keeps the range, both ends included. Several filters must all hold; several of one field widen nothing. A
  filter expression (`where`) says anything else.
- Counts are of variant groups, as a page shows one row a group: over both tables of the shelf, each group once, pinned
  items included (they are among `rows`).
- Facet counts are *disjunctive*: a field's own filter does not narrow its own counts, or choosing one brand would hide
  all others. An expression narrows all of them: it is not a box that was ticked.

    prepare(shelf)                                              once, so that no request pays for it
    chosen = narrow(shelf, request.filters, request.where)      flags, and errors that teach
    shown = rows[chosen.all[rows]]                              what passes everything
    facets(shelf, rows, request.facets, chosen)                 what could be chosen, counted

Cost: 92,000 matches x 5 facets about 2 ms; a filter 0.1 ms.
Not for: deciding which items match (`retrieval`) or in what order (`ranking`).
"""

from bodega.engine.browse._facets import MOST_VALUES, facets, useful
from bodega.engine.browse._fields import USEFUL, check, check_where, fields, numeric
from bodega.engine.browse._order import check_sort, collapsed, ordered, ordered_by
from bodega.engine.browse._tally import prepare
from bodega.engine.browse._view import Narrowing, keep, narrow
from bodega.engine.expression import AVAILABLE

__all__ = [
    "AVAILABLE",
    "MOST_VALUES",
    "USEFUL",
    "Narrowing",
    "check",
    "check_sort",
    "check_where",
    "collapsed",
    "facets",
    "fields",
    "keep",
    "narrow",
    "numeric",
    "ordered",
    "ordered_by",
    "prepare",
    "useful",
]
