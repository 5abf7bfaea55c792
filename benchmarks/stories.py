"""Whether stories of avatars keep what their captions leave open (`benchmarks.text story RUN`).

Characters of a length and a colour of hair, each in the same four scenes. Frames are compared with the first
of them, in the traits that neither caption names, beside frames of fresh noise.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeuxis.core.rng import derive_seed
from zeuxis.data.source.avatar_captions import TRAITS
from zeuxis.inference.model import Model

if TYPE_CHECKING:
    from benchmarks.text import Judge

HAIR = {
    "short": ("red", "black", "blond", "blue", "brown"),
    "long": ("red", "black", "blond", "green", "brown"),
}
SCENES: Mapping[str, Mapping[str, str]] = {
    "pink background": {"background": "pink"},
    "blue background, happy expression": {"background": "blue", "mood": "happy"},
    "violet background, sad expression": {"background": "violet", "mood": "sad"},
    "peach background, sunglasses": {"background": "peach", "eyewear": "sunglasses"},
}


def measured(
    model: Model,
    judge: "Judge",
    count: int,
    controls: Mapping[str, Any],
    vary: float | None = None,
    describe: bool = False,
) -> tuple[dict[str, Any], np.ndarray]:
    """The figures of a row, and the frames of the first sixteen stories, (16 x 4, H, W, C)."""
    draws = np.random.default_rng(derive_seed(7, "stories"))
    who = [
        {"length": length, "hair": HAIR[length][draws.integers(5)]}
        for length in (("short", "long")[draws.integers(2)] for _ in range(count))
    ]
    told = [
        model.story(
            [f"{one['length']} {one['hair']} hair", *SCENES],
            seed=number,
            vary=vary,
            describe=describe,
            **controls,
        )
        for number, one in enumerate(who)
    ]
    frames, texts = (
        [one.images for one in told],
        [f"{one['length']} {one['hair']} hair, {scene}" for one in who for scene in SCENES],
    )
    other = model.sample(len(texts), seed=1000, text=texts, **controls).images
    fresh = other.reshape(count, len(SCENES), *other.shape[1:])
    row = {
        "stories": count,
        "vary": vary,
        "describe": describe,
        "same_noise": _figures(judge, who, frames),
        "fresh_noise": _figures(judge, who, fresh),
    }
    return row, np.concatenate(frames[:16])


def _figures(
    judge: "Judge", who: Sequence[Mapping[str, str]], frames: Iterable[np.ndarray]
) -> dict[str, Any]:
    """Scenes and subjects that are right, and traits that are the same as in the first frame."""
    from benchmarks.text import share

    seen = [judge.traits(one) for one in frames]
    scene: dict[str, list[bool]] = {"background": [], "mood": [], "eyewear": []}
    subject: list[bool] = []
    kept: dict[str, list[bool]] = {t: [] for t in TRAITS if t not in ("hair", "length")}
    for one, shown in zip(who, seen, strict=True):
        for number, said in enumerate(SCENES.values()):
            for trait, word in said.items():
                scene[trait].append(shown[number][trait] == word)
            subject += [shown[number][t] == word for t, word in one.items()]
            first = next(iter(SCENES.values()))
            for trait, same in kept.items():
                if number and trait not in said and trait not in first:
                    same.append(shown[number][trait] == shown[0][trait])
    every = [same for some in kept.values() for same in some]
    each = {trait: share(some) for trait, some in kept.items() if some}
    right = [one for some in scene.values() for one in some]
    return {
        "scene": share(right),
        "scene_by_trait": {trait: share(some) for trait, some in scene.items()},
        "subject": share(subject),
        "kept": share(every),
        "kept_by_trait": each,
    }
