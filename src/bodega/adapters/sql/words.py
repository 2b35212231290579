"""How is a word about consent written? The newest of each purpose counts, of two at one moment the denial.

So words may come in any order and more than once. Written inside whatever transaction the caller has: with the events
of a stream, so that who is judged by them is kept or left out together with them. Not for: what they mean
(`events.consent`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, select, update

from bodega.adapters.sql.tables import CONSENTS, META
from bodega.schema.people import Word


def write_words(connection: Connection, words: Sequence[Word]) -> None:
    """Keep what is news of it, and let other processes notice."""
    columns, changed = CONSENTS.c, False
    for word in words:
        same = and_(columns.subject == word.subject, columns.purpose == word.purpose)
        held = connection.execute(select(columns.time, columns.granted).where(same)).first()
        time = round(word.time * 1e6)
        if held is not None and (held.time, not held.granted) >= (time, not word.granted):
            continue
        values = {"granted": word.granted, "time": time, "source": word.source}
        if held is None:
            connection.execute(CONSENTS.insert().values(subject=word.subject, purpose=word.purpose, **values))
        else:
            connection.execute(update(CONSENTS).where(same).values(**values))
        changed = True
    if changed:
        connection.execute(update(META).where(META.c.name == "privacy_seq").values(value=META.c.value + 1))
