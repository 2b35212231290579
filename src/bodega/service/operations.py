"""What is an operation of the API, for its document? And those of the back office, which made one file too long.

Not for: handling them (each page's own file), or writing the document (`openapi`).
"""

from __future__ import annotations

from dataclasses import dataclass

from bodega.service.doctor import OFFENDERS, TWINS
from bodega.service.models import MAPPED
from bodega.service.shoppers import LISTS, ONE, RECENT, SEEN


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address."""

    method: str
    path: str
    name: str
    summary: str
    scope: str = ""
    """Empty: public."""
    parameters: tuple[str, ...] = ()
    body: str = ""
    answer: str = ""
    """Name of the schema; empty: text."""


OFFICE = (
    Operation("get", "/v1/doctor", "doctor", "The catalog, examined", "admin", answer="DoctorFound"),
    Operation("post", "/v1/doctor/run", "doctor_run", "Examine it", "admin", (), "DoctorRun", "DoctorStarted"),
    Operation("get", "/v1/doctor/offenders", "doctor_offenders", "Worst items", "admin", OFFENDERS, "", "Offenders"),
    Operation("get", "/v1/doctor/twins", "doctor_twins", "Nearly the same", "admin", TWINS, "", "TwinList"),
    Operation("get", "/v1/shoppers", "shoppers", "Who came lately", "admin", RECENT, "", "KnownShoppers"),
    Operation(
        "get", "/v1/shoppers/{user_id}/state", "shopper_state", "What is known", "admin", ONE, "", "ShopperState"
    ),
    Operation(
        "get", "/v1/shoppers/{user_id}/timeline", "shopper_timeline", "What they did", "admin", SEEN, "", "Timeline"
    ),
    Operation(
        "get", "/v1/shoppers/{user_id}/lists", "shopper_lists", "A list of theirs", "admin", LISTS, "", "ListBeside"
    ),
    Operation(
        "get", "/v1/shoppers/{user_id}/looks", "shopper_looks", "Who looked at them", "admin", SEEN, "", "LookTrail"
    ),
    Operation("get", "/v1/looks", "looks", "Who looked at whom", "admin", ("limit",), "", "LookTrail"),
    Operation("get", "/v1/models", "models", "Every snapshot", "admin", answer="ModelList"),
    Operation("get", "/v1/models/report", "model_report", "One snapshot", "admin", ("snapshot",), "", "ModelReport"),
    Operation("get", "/v1/models/map", "model_map", "A map of its items", "admin", MAPPED, "", "EmbeddingMap"),
    Operation("post", "/v1/models/switch", "model_switch", "Serve it", "admin", (), "SwitchAsked", "Switched"),
    Operation(
        "get", "/v1/models/trail", "model_trail", "Who switched, why refused", "admin", ("limit",), "", "ModelTrail"
    ),
    Operation("get", "/v1/fairness", "fairness", "Who is shown, who is served", "admin", answer="FairnessFound"),
    Operation("post", "/v1/fairness/run", "fairness_run", "Count it", "admin", (), "FairnessRun", "FairnessStarted"),
)
"""Doctor, shoppers, models, fairness."""
