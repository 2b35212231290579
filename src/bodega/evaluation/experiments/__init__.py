"""Which of several ways is better, asked of shoppers? Verdicts that may be watched at any time.

In the order one uses them: `power` says how many shoppers it takes, `assignment` who sees what, `mismatch` whether the
arms are as large as they should be, `adjusting` takes out what was known before, `anytime` how sure a difference is
whenever one looks, `verdict` reads all of it at once, `segments` for whom it holds. `interleaving` compares two orders
in one list with far fewer requests; `switchback` is for what all share. Statistics are SciPy's where it has them.
"""

from bodega.evaluation.experiments.adjusting import Adjusted, adjusted
from bodega.evaluation.experiments.anytime import Effect, Moments, compare, half_width
from bodega.evaluation.experiments.assignment import assigned, bucket, sticky
from bodega.evaluation.experiments.interleaving import Draft, debiased_credit, preference, team_credit, team_draft
from bodega.evaluation.experiments.mismatch import sample_ratio, watched_ratio
from bodega.evaluation.experiments.power import Plan, plan
from bodega.evaluation.experiments.segments import Segments, by_segment
from bodega.evaluation.experiments.switchback import block_means, switchback
from bodega.evaluation.experiments.verdict import Reading, Readings, read

__all__ = [
    "Adjusted",
    "Draft",
    "Effect",
    "Moments",
    "Plan",
    "Reading",
    "Readings",
    "Segments",
    "adjusted",
    "assigned",
    "block_means",
    "bucket",
    "by_segment",
    "compare",
    "debiased_credit",
    "half_width",
    "plan",
    "preference",
    "read",
    "sample_ratio",
    "sticky",
    "switchback",
    "team_credit",
    "team_draft",
    "watched_ratio",
]
