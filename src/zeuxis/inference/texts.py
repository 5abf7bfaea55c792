"""Texts that a model writes, how likely it finds them, and which of them it knows by heart.

Shapes: N texts, T ids of a text.
"""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from zeuxis.core.errors import Invalid, Unable
from zeuxis.inference.arguments import Number
from zeuxis.inference.prompts import TextOf
from zeuxis.inference.results import METADATA_NAME, Result
from zeuxis.inference.verb import Argument

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from zeuxis.core.progress import Progress
    from zeuxis.core.vocabulary import Vocabulary
    from zeuxis.inference.model import Model

PRINTED = 20
"""Texts that are printed of many."""
HELD = 2000
"""Held-out captions that are looked for in the training data, at most."""


@dataclasses.dataclass(frozen=True)
class Verbatim:
    """How many texts stand in the training data word for word, beside held-out captions.

    Attributes:
        share: of the texts.
        held_share: of held-out captions: repeating what is common is no memorisation.
        held_count: of how many.
    """

    share: float
    held_share: float
    held_count: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Texts(Result):
    """Texts.

    Attributes:
        texts: as people write them.
        bits: (N,) float64, each text's under the model, its end included.
        sizes: (N,) int64, its bytes as the model is given it, and one for its end.
        verbatim: how many stand in the training data, if that was given.
    """

    texts: Sequence[str]
    bits: "np.ndarray"
    sizes: "np.ndarray"
    verbatim: Verbatim | None = None

    SUFFIX: ClassVar[str] = ".jsonl"
    SUFFIXES: ClassVar[Sequence[str]] = (".jsonl", ".json", ".csv", ".txt")
    WRITES: ClassVar[str] = "Also write the texts (.jsonl, .json, .csv, or .txt: a text a line)"
    MEDIA: ClassVar[str] = "application/jsonl"

    @property
    def array(self) -> "np.ndarray":
        """The texts."""
        import numpy as np

        return np.array(self.texts)

    @classmethod
    def default_out(cls, of: Path, verb: str, asked: Mapping[str, Any]) -> None:
        """No file unless one is asked for: they are printed."""
        return None

    @classmethod
    def check_out(cls, path: Path) -> None:
        """Refuse other suffixes."""
        if path.suffix.lower() not in cls.SUFFIXES:
            endings = ", ".join(cls.SUFFIXES)
            raise Invalid(f"{path} cannot hold texts; give a name that ends in one of {endings}")

    @property
    def bits_per_byte(self) -> float:
        """Of all texts together."""
        return float(self.bits.sum() / max(1, self.sizes.sum()))

    def table(self) -> dict[str, Sequence[Any]]:
        """`file_name` where they are of files, `text` and `bits`."""
        of = {METADATA_NAME: list(self.names)} if self.names else {}
        return {**of, "text": list(self.texts), "bits": [round(b, 3) for b in self.bits.tolist()]}

    def _values(self) -> dict[str, Any]:
        table = self.table()
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        known = {"verbatim": dataclasses.asdict(self.verbatim)} if self.verbatim else {}
        return {"texts": rows, "bits_per_byte": round(self.bits_per_byte, 4), **known}

    def as_file(self) -> bytes:
        """A JSON object a line, as `metadata.jsonl` has it: beside the images it is data to train on."""
        return "".join(json.dumps(row) + "\n" for row in self._values()["texts"]).encode()

    def write(self, path: str | Path) -> None:
        """Write it, in the form that the name's ending says."""
        from zeuxis.core.files import write_file

        content = {
            ".json": lambda: (json.dumps(self.values(), indent=1) + "\n").encode(),
            ".txt": lambda: "".join(f"{text}\n" for text in self.texts).encode(),
            ".csv": self._csv,
        }.get(Path(path).suffix.lower(), self.as_file)()
        write_file(Path(path), lambda beside: beside.write_bytes(content))

    def _csv(self) -> bytes:
        table, text = self.table(), io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
        return text.getvalue().encode()

    def lines(self, path: Path | None) -> Iterator[str]:
        """The texts, how likely they are, and how many are known by heart."""
        for number, text in enumerate(self.texts[:PRINTED]):
            yield f"{Path(self.names[number]).name}: {text}" if self.names else text
        if len(self.texts) > PRINTED:
            yield f"... and {len(self.texts) - PRINTED:,} more"
        yield f"{self.bits_per_byte:.3f} bits a byte"
        if self.verbatim:
            found = self.verbatim
            held = f"; of {found.held_count:,} held-out captions {found.held_share:.0%} do"
            yield f"{found.share:.0%} of them stand in the training data word for word{held}"
        if path is not None:
            yield f"wrote {path}"


def vocabulary_of(model: "Model") -> "Vocabulary":
    """That of a model's captions.

    Raises:
        Unable: it was trained without.
    """
    if model.family.config.text is None:
        raise Unable(
            "this model was trained without captions, so it has no words; train one on images with "
            "captions, data.conditions=text"
        )
    found: Vocabulary = model.family.config.text
    return found


def started(model: "Model", prefix: str, count: int) -> "Tensor":
    """Ids (count, S) that so many texts begin with."""
    import torch

    from zeuxis.core.vocabulary import plain

    ids = vocabulary_of(model).encode(plain(prefix))
    return torch.tensor(ids, dtype=torch.int64).expand(count, -1)


def with_bits(text_BT: "Tensor", nats_B: "Tensor") -> "Tensor":
    """(B, T + 1) float64: ids and bits, as one result of a batch."""
    import torch

    return torch.cat([text_BT.double(), nats_B.double()[:, None] / math.log(2)], 1)


def texts_of(vocabulary: "Vocabulary", found: "Tensor", **more: Any) -> Texts:
    """The texts of what `with_bits` gave for N of them."""
    import numpy as np

    from zeuxis.core.vocabulary import NO_CAPTION, PADDING

    table = found.cpu().numpy()
    said = [
        [one for one in row if one not in (PADDING, NO_CAPTION)]
        for row in table[:, :-1].astype(int).tolist()
    ]
    sizes = [len(vocabulary.decode(ids).encode()) + 1 for ids in said]
    texts = [vocabulary.say(ids) for ids in said]
    return Texts(texts=texts, bits=table[:, -1], sizes=np.array(sizes), **more)


def verbatim(
    model: "Model", texts: Sequence[str], source: str | Path, progress: "Progress | None"
) -> Verbatim:
    """How many of some texts stand among the captions of the training images of a source.

    Raises:
        Invalid: it cannot be prepared as the model's data was, or has no captions.
    """
    from zeuxis.core.vocabulary import plain
    from zeuxis.data import described
    from zeuxis.inference.alike import prepared_as

    prepared = prepared_as(model, source, progress)
    known = {plain(c) for row in prepared.train.tolist() for c in described.captions(prepared, row)}
    if not known:
        raise Invalid(f"no image of {prepared.name} to train on has a caption to look for")
    held = [c for row in prepared.holdout.tolist() for c in described.captions(prepared, row)][
        :HELD
    ]

    def share(some: Sequence[str]) -> float:
        return sum(plain(one) in known for one in some) / max(1, len(some))

    return Verbatim(share(texts), share(held), len(held))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrefixOf(TextOf):
    """What texts begin with: whole words."""

    def read(self, model: "Model", word: Any, progress: "Progress | None") -> Any:
        """As it is."""
        return word

    def take(self, model: "Model", value: Any, most: int) -> Any:
        """The text."""
        self._all_text([value])
        return value

    def check(self, model: "Model", value: Any, given: Mapping[str, Any]) -> Any:
        """A text that leaves room for another word."""
        from zeuxis.core.vocabulary import plain

        self._all_text([value])
        vocabulary = vocabulary_of(model)
        length = len(vocabulary.encode(plain(value)))
        if length >= vocabulary.length:
            raise Invalid(
                f"the prefix has {length} ids and the model's texts have {vocabulary.length} at most; "
                "give a shorter one"
            )
        return value

    def plain(self, value: Any) -> Any:
        """The text, if there is one."""
        return value or None


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownBy(Argument):
    """The data that a model was trained on, with its captions."""

    def plain(self, value: Any) -> Any:
        """Its name."""
        return None if value is None else str(value)


Many = Annotated[int, Number(help="How many texts.", word=int, least=1, counts=True)]
Prefix = Annotated[
    str, PrefixOf(help="Whole words that each text begins with.", word=str, body=str)
]
Known = Annotated[
    Any,
    KnownBy(
        help="The data that the model was trained on, to say how many texts stand there word for word.",
        word=str | None,
        body=None,
        metavar="SOURCE",
    ),
]
