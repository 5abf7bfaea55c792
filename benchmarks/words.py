"""What a model that has words says of avatars, and which texts and pictures it puts together.

`benchmarks.text measure` adds these figures to its row where a family can caption. A parser reads the traits
that captions name; what an avatar shows is known.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zeuxis import data
from zeuxis.core.rng import derive_seed
from zeuxis.data import described
from zeuxis.data.source.avatar_captions import DRAWS, EACH, SYNONYMS, TRAITS, caption
from zeuxis.inference.model import Ask, Model

if TYPE_CHECKING:
    from benchmarks.text import Judge

CANDIDATES, BEST = 100, 8
"""Of a retrieval; drawings of which one is kept."""
MEANT = {
    trait: {word: key for key, words in some.items() for word in words}
    for trait, some in SYNONYMS.items()
}
MEANT["eyewear"]["no glasses"] = "none"
MEANT["hat"] = {"a": "yes", "an": "yes"}
MEANT["beard"] = {"a": "yes", "full": "yes"}
MEANT["earrings"] = {"earrings": "yes"}
"""What words say of a trait, where they are not what it is called."""


def _any(trait: str) -> str:
    """One of a trait's words, longer ones first."""
    return "(?:" + "|".join(sorted(MEANT[trait], key=len, reverse=True)) + ")"


WHERE = {
    "length": rf"({_any('length')}) (?:{_any('hair')} )?hair",
    "hair": rf"({_any('hair')}) hair",
    "skin": "(light|tan|dark) (?:skin|skinned|person)",
    "eyewear": rf"({_any('eyewear')})",
    "hat": r"(no|an?)(?: \w+)? hat",
    "beard": "(no|a|full) beard",
    "earrings": "(earrings)",
    "mood": rf"({_any('mood')})",
    "clothes": r"(\w+) (?:clothes|shirt|top)",
    "background": r"(\w+) (?:background|backdrop|wall|behind)",
}


def named(text: str) -> dict[str, str]:
    """The traits that a caption of an avatar names, as `avatar_captions.caption` says them.

    >>> named("a happy face with flowing red hair and no hat")
    {'length': 'long', 'hair': 'red', 'hat': 'no', 'mood': 'happy'}
    """
    found = {trait: re.search(rf"\b{words}\b", text) for trait, words in WHERE.items()}
    return {t: MEANT.get(t, {}).get(one[1], one[1]) for t, one in found.items() if one}


def agreement(texts: Sequence[str], seen: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Precision: of what captions name, what is true. Recall: of what is there, what is rightly named."""
    from benchmarks.text import share

    right: dict[str, list[bool]] = {t: [] for t in TRAITS}
    there, whole = [], []
    for text, true in zip(texts, seen, strict=True):
        said = named(text)
        ok = {t: true[t] == word for t, word in said.items()}
        for trait, one in ok.items():
            right[trait].append(one)
        there += [ok.get(t, False) for t, word in true.items() if word not in ("no", "none")]
        whole.append(all(ok.values()))
    every = [one for some in right.values() for one in some]
    each = {t: share(some) for t, some in right.items() if some}
    return {"precision": share(every), "recall": share(there), "all_right": share(whole), **each}


def nats(model: Model, images: np.ndarray, texts: Sequence[str], how: str) -> np.ndarray:
    """Of each text: `alone`, or `given` its image; or of images: `drawn` given the text, or `prior`."""
    ids = model.family.config.text.rows(texts).astype(np.int64)

    def call(ask: Ask) -> torch.Tensor:
        family, image, text = ask.family, ask.inputs["image"], ask.cond["text"]
        if how == "alone":
            found = family.text_nats(text)
        elif how == "given":
            found = family.caption_nats(image, text)
        else:
            known = {"text": text}
            found = family.nats(image, known, how == "drawn").image_B
        return torch.as_tensor(found).double()

    unknown = np.full((len(images), len(model.conditions)), -1)
    return model.batches(call, unknown, {"image": images, "text": ids}).cpu().numpy()


def likelihood(model: Model, prepared: data.Prepared, rows: np.ndarray) -> dict[str, Any]:
    """Of pictures and the first caption of each."""
    said = [(row, described.captions(prepared, row)[0]) for row in rows.tolist()]
    images, texts = prepared.images[[row for row, _ in said]], [text for _, text in said]
    vocabulary = model.family.config.text
    ids = [vocabulary.encode(f" {text}".lower()) for text in texts]
    size = sum(len(vocabulary.decode(one).encode()) + 1 for one in ids)
    found = {
        how: nats(model, images, texts, how).sum() / np.log(2)
        for how in ("alone", "given", "drawn", "prior")
    }
    cells = len(images) * model.family.patches.cells
    return {
        "n": len(images),
        "text_bits_a_byte": round(float(found["alone"] / size), 4),
        "text_bits_a_byte_given_image": round(float(found["given"] / size), 4),
        "image_bits_a_patch": round(float(found["prior"] / cells), 4),
        "image_bits_a_patch_given_text": round(float(found["drawn"] / cells), 4),
    }


def retrieval(
    model: Model, judge: "Judge", prepared: data.Prepared, rows: np.ndarray
) -> dict[str, Any]:
    """By log p(c | x), less log p(c) among texts, of N pictures and a text of each that names all."""
    rows = rows[:CANDIDATES]
    draws = np.random.default_rng(derive_seed(7, "retrieval")).random((len(rows), DRAWS))
    texts = [
        caption(judge.full[row], share_U.tolist(), number % EACH, TRAITS)[0]
        for number, (row, share_U) in enumerate(zip(rows.tolist(), draws, strict=True))
    ]
    images, n = prepared.images[rows], len(rows)
    pairs = nats(model, images.repeat(n, 0), texts * n, "given").reshape(n, n)
    of_text_TI = -pairs.T
    of_image_IT = nats(model, images, texts, "alone")[None] - pairs
    kinds = [tuple(sorted(judge.seen[row].items())) for row in rows.tolist()]
    out: dict[str, Any] = {"n": n, "with_a_double": sum(kinds.count(kind) > 1 for kind in kinds)}
    for name, score in (("text_to_picture", of_text_TI), ("picture_to_text", of_image_IT)):
        better = (score > score.diagonal()[:, None]).sum(1)
        out[name] = {f"r{k}": round(float((better < k).mean()), 3) for k in (1, 5)}
    return out


def best_of(
    model: Model, judge: "Judge", rows: np.ndarray, count: int, controls: Mapping[str, Any]
) -> dict[str, Any]:
    """Accuracy of one drawing and of the best of eight, and their difference by caption."""
    from benchmarks.text import prompts, share

    texts, said, _ = prompts(judge, rows, count)
    found = {}
    for many in (1, BEST):
        images = model.sample(len(texts), seed=11, text=texts, best_of=many, **controls).images
        found[many] = judge.right(images, said)
    one, best = ([np.mean([*ok.values()]) for ok in found[many]] for many in (1, BEST))
    gain = np.subtract(best, one)
    half = 1.96 * gain.std(ddof=1) / len(gain) ** 0.5
    every = {many: [x for ok in right for x in ok.values()] for many, right in found.items()}
    return {
        "one": share(every[1]),
        f"best_of_{BEST}": share(every[BEST]),
        "gain": {
            "mean": round(float(gain.mean()), 4),
            "half": round(float(half), 4),
            "n": len(gain),
        },
    }


def through_codes(
    model: Model, judge: "Judge", images: np.ndarray, seen: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Traits that are still right in pictures whose patches are the nearest codes: what can be reached."""
    unknown = np.full((len(images), len(model.conditions)), -1)
    again = model.images(
        lambda ask: ask.family.patches.decode(ask.family.patches.encode(ask.inputs["image"])),
        unknown,
        {"image": images},
    ).images
    found = {"real": images, "codes": again}
    return {k: judge.figures(judge.right(v, seen), seen)["mean"] for k, v in found.items()}


def measured(
    model: Model,
    judge: "Judge",
    prepared: data.Prepared,
    rows: np.ndarray,
    controls: Mapping[str, Any],
) -> dict[str, Any]:
    """All of this, of the first captions of these rows and of new ones."""
    seen = [judge.seen[row] for row in rows.tolist()]
    real = [described.captions(prepared, row)[0] for row in rows.tolist()]
    return {
        "captions_said": agreement(model.caption(prepared.images[rows]).texts, seen),
        "captions_at_temperature_1": agreement(
            model.caption(prepared.images[rows], seed=5, temperature=1.0).texts, seen
        ),
        "captions_of_the_data": agreement(real, seen),
        "through_codes": through_codes(
            model, judge, prepared.images[rows], [judge.full[row] for row in rows.tolist()]
        ),
        "likelihood": likelihood(model, prepared, rows),
        "retrieval": retrieval(model, judge, prepared, rows),
        "re_ranked": best_of(model, judge, rows, 300, controls),
    }
