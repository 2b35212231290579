"""Which answer is good for which query? Judgments from clicks, and whether two judges agree.

`shown` turns a log into pages of what was shown and clicked, `click_models` takes the places out of the clicks,
`grading` makes grades of what is left where there is enough of it, `agreement` says how far two judges agree, and
`merging` which opinion counts. Judgments feed the relevance report and teach the search. Not for: metrics over
judgments (`evaluation.graded`).
"""

from bodega.evaluation.judgments.agreement import Agreement, kappa
from bodega.evaluation.judgments.click_models import PositionBased, ctr, pbm, sdbn
from bodega.evaluation.judgments.grading import Graded, asked_enough, graded
from bodega.evaluation.judgments.merging import Compared, Gold, agreements, judge_name, merged
from bodega.evaluation.judgments.shown import Judged, Shown, shown_in

__all__ = [
    "Agreement",
    "Compared",
    "Gold",
    "Graded",
    "Judged",
    "PositionBased",
    "Shown",
    "agreements",
    "asked_enough",
    "ctr",
    "graded",
    "judge_name",
    "kappa",
    "merged",
    "pbm",
    "sdbn",
    "shown_in",
]
