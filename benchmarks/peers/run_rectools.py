"""RecTools' SASRec: a causal Transformer over the newest items. Runs inside `.venv-peers/rectools`."""

from __future__ import annotations

import logging
import os
import warnings

os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
logging.getLogger("lightning").setLevel(logging.ERROR)

import numpy as np  # noqa: E402 - the libraries below speak on import
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from exchange import Job, main  # noqa: E402
from pytorch_lightning import seed_everything  # noqa: E402
from rectools import Columns  # noqa: E402
from rectools.dataset import Dataset  # noqa: E402
from rectools.models import SASRecModel  # noqa: E402


class SasRec:
    """Asked through `recommend` alone: its lists, `depth` long, are what is judged."""

    def prepare(self, job: Job) -> None:
        self.job = job
        torch.set_num_threads(1)
        seed_everything(job.seed)
        rows = len(job.array("train_user"))
        self.dataset = Dataset.construct(
            pd.DataFrame(
                {
                    Columns.User: job.array("train_user"),
                    Columns.Item: job.array("train_item"),
                    Columns.Weight: np.ones(rows, np.float32),
                    # its times are days at the coarsest and order at the finest: ours are in order already
                    Columns.Datetime: pd.to_datetime(np.arange(rows), unit="s"),
                }
            )
        )
        self.model = SASRecModel(**job.options, deterministic=True, recommend_torch_device="cpu")

    def fit(self) -> None:
        self.model.fit(self.dataset)

    def _asked(self, users: np.ndarray, k: int) -> pd.DataFrame:
        return self.model.recommend(users, self.dataset, k=k, filter_viewed=self.job.hide)

    def recommend(self, user: int) -> object:
        return self._asked(np.array([user]), 10)

    def answer(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._asked(users, self.job.depth)
        items = np.full((len(users), self.job.depth), -1, np.int32)
        values = np.full(items.shape, np.nan, np.float32)
        row = pd.Index(users).get_indexer(found[Columns.User])
        place = found[Columns.Rank].to_numpy() - 1
        items[row, place] = found[Columns.Item]
        values[row, place] = found[Columns.Score]
        return items, values


if __name__ == "__main__":
    main("rectools", {"sasrec": SasRec})
