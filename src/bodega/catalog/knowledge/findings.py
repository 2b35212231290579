"""What should the doctor say of mined facts? What texts know that columns do not, and where the two contradict.

One finding for each attribute that could be filled from texts (`missing_colour_minable`), one for all contradictions
(`conflict`). Not for: mending; `bodega knowledge` accepts and rejects.
"""

from __future__ import annotations

from collections.abc import Sequence

from bodega.catalog.doctor import Example, Finding
from bodega.schema.facts import Fact, FactCount

SHOWN = 5
FEWEST, SHARE = 5, 0.005
"""Items, and share of the catalog, that a column must lack to be worth a finding."""


def fact_findings(
    counts: Sequence[FactCount], conflicts: Sequence[Fact], missing: Sequence[Fact], n_items: int
) -> tuple[Finding, ...]:
    """`counts` of all facts; `conflicts` and `missing` hold some of each, as examples."""
    out = []
    contradicted = sum(count.conflicts for count in counts)
    if contradicted:
        out.append(
            Finding(
                code="conflict",
                severity="warning",
                title=f"{contradicted:,} items say one thing in their columns and another in their titles",
                count=contradicted,
                of=n_items,
                examples=tuple(_example(fact) for fact in conflicts[:SHOWN]),
                fix="look: bodega knowledge list --conflicts; then accept what the title says, or reject it",
            )
        )
    for count in counts:
        there = count.items - count.conflicts
        if there < max(FEWEST, SHARE * n_items):
            continue
        name = count.kind if count.kind != "attribute" else count.attribute
        out.append(
            Finding(
                code=f"missing_{name}_minable",
                severity="note",
                title=f"{there:,} items without {count.attribute} whose texts name it",
                count=there,
                of=n_items,
                examples=tuple(_example(fact) for fact in missing if fact.attribute == count.attribute)[:SHOWN],
                fix=f"sure ones act already; accept or reject: bodega knowledge list --attribute {count.attribute}",
            )
        )
    return tuple(out)


def _example(fact: Fact) -> Example:
    said = f", the shop says {', '.join(fact.conflicts)}" if fact.conflicts else ""
    text = fact.evidence[0].text if fact.evidence else ""
    return Example(fact.item, text, f"{fact.attribute}: {fact.value} ({fact.confidence:.2f}{said})")
