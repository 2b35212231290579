"""Which answer is good for which query? Judgments from clicks, and whether two judges agree.

`shown` turns a log into pages of what was shown and clicked, `click_models` takes the places out of the clicks, and
`agreement` says how far judges may be believed. Judgments feed the relevance report and teach the ranker. Not for:
metrics over judgments (`evaluation.graded`).
"""

from bodega.evaluation.judgments.agreement import Agreement, kappa
from bodega.evaluation.judgments.click_models import PositionBased, ctr, pbm, sdbn
from bodega.evaluation.judgments.shown import Judged, Shown, shown_in

__all__ = ["Agreement", "Judged", "PositionBased", "Shown", "ctr", "kappa", "pbm", "sdbn", "shown_in"]
