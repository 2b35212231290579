"""One durable store, five doors: catalog, events, dead letters, keys, rules.

>>> import tempfile
>>> from bodega.schema import Item
>>> with tempfile.TemporaryDirectory() as folder, SqlStore.open(f"sqlite:///{folder}/bodega.db") as store:
...     store.catalog.upsert([Item(id="1", title="Pasta")]).added
1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bodega.adapters.sql.answers import SqlAnswers
from bodega.adapters.sql.catalog import SqlCatalog
from bodega.adapters.sql.database import Database
from bodega.adapters.sql.decisions import SqlDecisions
from bodega.adapters.sql.events import SqlEvents
from bodega.adapters.sql.experiments import SqlExperiments
from bodega.adapters.sql.facts import SqlFacts
from bodega.adapters.sql.judgments import SqlJudgments
from bodega.adapters.sql.keys import SqlKeys
from bodega.adapters.sql.letters import SqlLetters
from bodega.adapters.sql.logbook import SqlLogbook
from bodega.adapters.sql.migrate import migrate
from bodega.adapters.sql.people import SqlPeople
from bodega.adapters.sql.reviews import SqlReviews
from bodega.adapters.sql.rules import SqlRules
from bodega.events.border import Border


@dataclass(frozen=True, slots=True)
class SqlStore:
    """Several processes may open the same store: one writes at a time, all may read meanwhile."""

    catalog: SqlCatalog
    events: SqlEvents
    dead: SqlLetters
    keys: SqlKeys
    rules: SqlRules
    database: Database

    @classmethod
    def open(cls, url: str) -> SqlStore:
        """Open `sqlite:////path/to/bodega.db` (made when it is not there) or `postgresql://...`, layout up to date.

        Raises BadSettings for a URL we cannot use, MissingExtra without the driver, StoreError when it does not open.
        """
        database = Database(url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(
            SqlCatalog(database),
            SqlEvents(database),
            SqlLetters(database),
            SqlKeys(database),
            SqlRules(database),
            database,
        )

    @property
    def decisions(self) -> SqlDecisions:
        """What was shown by chance, and what came of it."""
        return SqlDecisions(self.database)

    @property
    def answers(self) -> SqlAnswers:
        """What was answered, one line a page."""
        return SqlAnswers(self.database)

    @property
    def logbook(self) -> SqlLogbook:
        """What counts are made of, and where they are kept."""
        return SqlLogbook(self.database)

    @property
    def people(self) -> SqlPeople:
        """Who is the same shopper, what they agreed to, who was forgotten."""
        return SqlPeople(self.database)

    @property
    def facts(self) -> SqlFacts:
        """What was mined of items, and what was decided of it."""
        return SqlFacts(self.database)

    @property
    def experiments(self) -> SqlExperiments:
        """What is compared on shoppers, and who changed it."""
        return SqlExperiments(self.database)

    @property
    def reviews(self) -> SqlReviews:
        """What shoppers wrote of items."""
        return SqlReviews(self.database)

    @property
    def judgments(self) -> SqlJudgments:
        """How well items answer queries, and who says so."""
        return SqlJudgments(self.database)

    def guarded(self, border: Border) -> None:
        """Let no event and no letter onto the disk but as this border lets it through."""
        self.events.border = self.dead.border = border

    def rest(self) -> None:
        """Let go of the file while nobody writes; whoever asks next connects anew. Rest before a fork."""
        self.database.rest()

    def close(self) -> None:
        """Commit what waits, then let go of the file. Closing twice is fine."""
        self.events.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
