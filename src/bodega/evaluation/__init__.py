"""Is it better, and for whom? The judge: it imports no contestant, only the nouns.

In the order one uses them: `splits` cuts a log so that nothing from the future is known, `leaks` proves it,
`judge` ranks every item of the shop for every case, `ranks` and `metrics` turn places into figures,
`significance` says how sure a figure is. Nothing here samples negatives: sampled metrics reorder models.
"""

from bodega.evaluation.case import Case
from bodega.evaluation.judge import Outcome, Scorer, evaluate
from bodega.evaluation.leaks import check_ids, check_no_leak, check_ties
from bodega.evaluation.metrics import METRICS, metric, per_case
from bodega.evaluation.ranks import Ranked, average_ranks
from bodega.evaluation.significance import Difference, bootstrap, intervals, paired
from bodega.evaluation.splits import CaseOptions, TimeSplit, Window, by_time, leave_last_out, place_cases

__all__ = [
    "METRICS",
    "Case",
    "CaseOptions",
    "Difference",
    "Outcome",
    "Ranked",
    "Scorer",
    "TimeSplit",
    "Window",
    "average_ranks",
    "bootstrap",
    "by_time",
    "check_ids",
    "check_no_leak",
    "check_ties",
    "evaluate",
    "intervals",
    "leave_last_out",
    "metric",
    "paired",
    "per_case",
    "place_cases",
]
