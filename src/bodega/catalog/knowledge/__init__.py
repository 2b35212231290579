"""What is known of items beside what the shop typed in: facts, what becomes of them, and what to tell the merchant.

`merging` puts facts into the columns of a catalog, `findings` says what the doctor should. The facts themselves are
nouns (`schema.facts`); who finds them stands above (`understanding.facts`). Not for: reading texts.
"""

from bodega.catalog.knowledge.findings import fact_findings
from bodega.catalog.knowledge.merging import Verdicts, in_force, merged, with_status

__all__ = ["Verdicts", "fact_findings", "in_force", "merged", "with_status"]
