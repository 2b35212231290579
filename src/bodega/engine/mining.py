"""How does what was mined reach a merchandiser? As rules that are switched off, with the evidence in their note.

The id of such a rule is made of its words, so that mining again finds it: what is there already, on or off, is left
alone, and so is a pair that any other rule names. A proposal that was looked at and refused should therefore stay,
switched off; one that is deleted is proposed again.
Not for: mining itself (`understanding.query.synonyms`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from bodega.schema import Match, Phrase, Rule, Synonyms, When
from bodega.understanding import language
from bodega.understanding.query.synonyms import Proposal

PREFIX = "mined-"


def synonym_rule(proposal: Proposal) -> Rule:
    """The proposal as a rule, switched off: it acts on queries that hold one of the two phrases.

    >>> rule = synonym_rule(Proposal("couch", "sofa", 0.93, 41, (("couch bed", "sofa bed"),)))
    >>> rule.id, rule.enabled, rule.note
    ('mined-couch-sofa-04ec07f2', False, 'mined: clicks agree by 93 %, 41 people; "couch bed" and "sofa bed"')
    """
    words = (proposal.one, proposal.other)
    pairs = "; ".join(f'"{one}" and "{other}"' for one, other in proposal.examples)
    return Rule(
        id=_id(words),
        name=f"{proposal.one} = {proposal.other}",
        when=When(queries=tuple(Phrase(word, Match.CONTAINS) for word in words)),
        then=(Synonyms(words),),
        enabled=False,
        note=f"mined: clicks agree by {100 * proposal.agreement:.0f} %, {proposal.people:,} people; {pairs}"[:2_000],
    )


def unknown(proposals: Iterable[Proposal], rules: Iterable[Rule]) -> list[Proposal]:
    """The proposals that no rule names yet, switched on or off."""
    held = [
        {_key(word) for word in action.words} for rule in rules for action in rule.then if isinstance(action, Synonyms)
    ]
    return [each for each in proposals if not any({_key(each.one), _key(each.other)} <= words for words in held)]


def _id(words: Sequence[str]) -> str:
    """Readable where the words are plain, and never the same for two pairs."""
    digest = hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]
    joined = "-".join(word.replace(" ", "_") for word in words)
    plain = "".join(char for char in joined if char.isascii() and (char.isalnum() or char in "-_."))[:40].strip("-_.")
    return PREFIX + (f"{plain}-{digest}" if plain else digest)


def _key(text: str) -> str:
    return " ".join(language.stem(word) for word in language.words(text))
