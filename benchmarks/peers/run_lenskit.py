"""LensKit: item-kNN, implicit ALS, EASE in its standard top-n pipeline. Runs inside `.venv-peers/lenskit`."""

from __future__ import annotations

import logging
import os
import warnings

os.environ.update(LK_NUM_THREADS="1", LK_NUM_BACKEND_THREADS="1", LK_NUM_PROCS="1")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np  # noqa: E402 - the libraries below read the environment
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from exchange import Job, main  # noqa: E402
from lenskit import recommend, score  # noqa: E402
from lenskit.als import ImplicitMFScorer  # noqa: E402
from lenskit.data import ItemList, from_interactions_df  # noqa: E402
from lenskit.knn import EASEScorer, ItemKNNScorer  # noqa: E402
from lenskit.pipeline import topn_pipeline  # noqa: E402
from lenskit.training import TrainingOptions  # noqa: E402


class LensKit:
    """A scorer inside the pipeline that LensKit builds for lists of ten."""

    def prepare(self, job: Job) -> None:
        torch.set_num_threads(1)
        self.job = job
        rows = pd.DataFrame({"user_id": job.array("train_user"), "item_id": job.array("train_item")})
        self.everything = np.arange(job.n_items)
        self.data = from_interactions_df(rows.drop_duplicates(), users=range(job.n_users), items=self.everything)
        self.items = ItemList(self.everything, vocabulary=self.data.items)
        self.pipeline = topn_pipeline(self.scorer(**job.options), n=10)

    def fit(self) -> None:
        self.pipeline.train(self.data, TrainingOptions(rng=self.job.seed))

    def recommend(self, user: int) -> object:
        return recommend(self.pipeline, user, 10, items=None if self.job.hide else self.items)

    def answer(self, users: np.ndarray) -> np.ndarray:
        return np.stack([score(self.pipeline, int(user), self.items).scores("numpy") for user in users])


class ItemKnn(LensKit):
    @staticmethod
    def scorer(**options: object) -> object:
        return ItemKNNScorer(feedback="implicit", **options)


class Als(LensKit):
    scorer = ImplicitMFScorer


class Ease(LensKit):
    scorer = EASEScorer


if __name__ == "__main__":
    main("lenskit", {"item-knn": ItemKnn, "als": Als, "ease": Ease})
