"""Which few numbers suit this shop better than the ones it has? Searched on the past, confirmed on what came after.

    dials     which numbers may be turned, how far, and what each means
    windows   time cut into folds to search on, a window to confirm on, and the test window that nothing here sees
    trying    how good is a shop with these settings, case by case
    search    Optuna proposes, the folds judge, the confirmation decides; resumable
    applying  a diff of settings as TOML lines; written only where the gain is sure

Not for: weights of sources (`learn` fits those anew each time), or what takes minutes to fit.
"""

from bodega.engine.tuning.applying import apply, toml_lines
from bodega.engine.tuning.dials import DIALS, Change, Dial
from bodega.engine.tuning.search import STUDY, Tuned, TuneOptions, tune
from bodega.engine.tuning.trying import past
from bodega.engine.tuning.windows import Windows, check_untouched, windows

__all__ = [
    "DIALS",
    "STUDY",
    "Change",
    "Dial",
    "TuneOptions",
    "Tuned",
    "Windows",
    "apply",
    "check_untouched",
    "past",
    "toml_lines",
    "tune",
    "windows",
]
