"""The verbs: what each exchangeable part must do. A part fits when it passes `bodega.testing`'s contract checks.

Sources and stages compute on arrays and know no store; stores keep bytes and know no model; `wiring` picks one of each.

    models     what computes: sources, encoders, stages
    streams    what is on its way
    states     what is known of shoppers right now
    stores     what is kept of the catalog and of what happened
    desks      what is kept of what people decide
"""

from __future__ import annotations

from bodega.protocols.desks import (
    ExperimentStore,
    FactStore,
    JudgmentStore,
    KeyInfo,
    KeyStore,
    ReviewStore,
    RuleChange,
    RuleStore,
)
from bodega.protocols.models import (
    Encoder,
    EncoderInfo,
    Explains,
    ImageEncoder,
    NoProgress,
    PictureVectors,
    Pixels,
    Progress,
    Source,
    Stage,
    Trainable,
    Training,
)
from bodega.protocols.states import Caught, Person, StateLost, StateStore, Steps
from bodega.protocols.stores import (
    Along,
    AnswerStore,
    CatalogStore,
    DeadLetterBox,
    EventRows,
    EventStore,
    EventSummary,
    ImportReport,
    Rows,
    Summarises,
    Written,
)
from bodega.protocols.streams import News, Offset, Polled, Publisher, Record, Stream, Told

__all__ = [
    "Along",
    "AnswerStore",
    "CatalogStore",
    "Caught",
    "DeadLetterBox",
    "Encoder",
    "EncoderInfo",
    "EventRows",
    "EventStore",
    "EventSummary",
    "ExperimentStore",
    "Explains",
    "FactStore",
    "ImageEncoder",
    "ImportReport",
    "JudgmentStore",
    "KeyInfo",
    "KeyStore",
    "News",
    "NoProgress",
    "Offset",
    "Person",
    "PictureVectors",
    "Pixels",
    "Polled",
    "Progress",
    "Publisher",
    "Record",
    "ReviewStore",
    "Rows",
    "RuleChange",
    "RuleStore",
    "Source",
    "Stage",
    "StateLost",
    "StateStore",
    "Steps",
    "Stream",
    "Summarises",
    "Told",
    "Trainable",
    "Training",
    "Written",
]
