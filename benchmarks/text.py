"""How well a model's pictures show what captions name, on the embedded avatars.

    python -m benchmarks.text train RUN [--family flow] [--steps 7000]   # of captions, combinations withheld
    python -m benchmarks.text measure RUN [--record]       # a row with the accuracy of each trait
    python -m benchmarks.text story RUN [--vary 0.7] [--describe] [--record]

`measure --side train` asks for new captions of pictures of the training side: to choose settings by.

The classifier learns from real pictures alone: of the training side, and half of those that are withheld.
Its accuracy on the other half and on the hold-out stands beside every figure. Only what a caption names
counts.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zeuxis
from benchmarks import stories, words
from benchmarks.row import write_row
from zeuxis import data
from zeuxis.core import abilities
from zeuxis.core.pixels import grid, save_png
from zeuxis.core.rng import derive_seed
from zeuxis.core.settings import Data
from zeuxis.data.source.avatar_captions import DRAWS, EACH, TRAITS, caption
from zeuxis.data.source.avatars import all_traits
from zeuxis.inference.model import Model
from zeuxis.training import recipes

WITHHELD = {
    "red hair, eyewear": ("hair=red,glasses=*", ("hair", "eyewear")),
    "green hair, blue background": ("hair=green,background=sky", ("hair", "background")),
    "blue hair, hat": ("hair=blue,hat=*", ("hair", "hat")),
    "dark skin, yellow clothes": (
        "skin=bronze|brown,clothing_colour=amber|yellow",
        ("skin", "clothes"),
    ),
    "beard, sunglasses": ("beard=*,glasses=dark*", ("beard", "eyewear")),
}
"""What the pairs are called, how `data.withhold` says them, and the traits that must both be right."""
SETTINGS = {
    "data.conditions": "text",
    "data.withhold": ";".join(words for words, _ in WITHHELD.values()),
    "data.flip": "true",
}
STORIES = 80
MOST = 400
"""Pictures that are captioned."""
DRAWN, ASKED = 8, 12
"""Pictures to each caption, and captions, by which it is told how much pictures differ."""
CLASSIFIER = {"epochs": 16, "batch": 128, "lr": 2e-3}


def judged(seen: Mapping[str, str]) -> dict[str, str]:
    """Traits as they are classified: the colour of a hat is not."""
    return {name: "yes" if name == "hat" and word != "no" else word for name, word in seen.items()}


class Classifier(nn.Module):
    """Six convolutions, and a linear layer for each trait."""

    def __init__(self, classes: Sequence[int], width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 3
        for outside, stride in zip((1, 1, 2, 2, 3, 3), (1, 1, 2, 1, 2, 1), strict=True):
            conv = nn.Conv2d(inside, outside * width, 3, stride, 1, bias=False)
            layers += [conv, nn.BatchNorm2d(outside * width), nn.ReLU()]
            inside = outside * width
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2))
        self.heads = nn.ModuleList(nn.Linear(16 * inside, count) for count in classes)

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        """Logits of each trait."""
        found = self.body(image_BCHW)
        return [head(found) for head in self.heads]


def learned(images: np.ndarray, truth: np.ndarray, classes: Sequence[int]) -> Classifier:
    """A classifier of real pictures (N, 16, 16, 3) with classes (N, traits)."""
    torch.manual_seed(0)
    net = Classifier(classes).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), CLASSIFIER["lr"], weight_decay=0.05)
    size = int(CLASSIFIER["batch"])
    steps = int(CLASSIFIER["epochs"]) * len(images) // size
    x_NCHW, y_NT = inside(images), torch.from_numpy(truth)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = CLASSIFIER["lr"] * min(1, (step + 1) / 50) * (1 - step / steps)
        rows = torch.randint(len(images), (size,))
        x = x_NCHW[rows]
        x = torch.where(torch.rand(size, 1, 1, 1) < 0.5, x.flip(3), x)
        x = x + 0.08 * torch.rand(size, 1, 1, 1) * torch.randn_like(x)
        logits = net(x.contiguous(memory_format=torch.channels_last))
        loss = sum(
            F.cross_entropy(one, y_NT[rows, k], label_smoothing=0.02)
            for k, one in enumerate(logits)
        )
        optimiser.zero_grad()
        torch.as_tensor(loss).backward()
        optimiser.step()
    return net.eval()


def inside(images: np.ndarray) -> Tensor:
    """Images (N, H, W, C) as (N, C, H, W) in [-1, 1]."""
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def classified(net: Classifier, images: np.ndarray) -> np.ndarray:
    """(N, traits)."""
    parts = [torch.stack([o.argmax(1) for o in net(x)], 1) for x in inside(images).split(500)]
    return torch.cat(parts).numpy()


class Judge:
    """A classifier, and what the avatars show."""

    def __init__(self, prepared: data.Prepared) -> None:
        whole = all_traits()
        every = [judged(seen) for seen in whole]
        rows = [int(name.removeprefix("avatar-")) for name in prepared.names]
        self.seen = [every[row] for row in rows]
        self.full = [whole[row] for row in rows]
        self.words = {t: sorted({seen[t] for seen in every}) for t in TRAITS}
        truth = np.array([[self.words[t].index(seen[t]) for t in TRAITS] for seen in self.seen])
        some = np.concatenate([prepared.train, prepared.withheld[::2]])
        self.net = learned(prepared.images[some], truth[some], [len(self.words[t]) for t in TRAITS])
        names = np.array(
            [
                [self.words[t][k] for t, k in zip(TRAITS, row, strict=True)]
                for row in truth[prepared.train]
            ]
        )
        self.base = {
            t: {w: float((names[:, k] == w).mean()) for w in self.words[t]}
            for k, t in enumerate(TRAITS)
        }

    def traits(self, images: np.ndarray) -> list[dict[str, str]]:
        """What each picture shows."""
        return [
            {t: self.words[t][k] for t, k in zip(TRAITS, row, strict=True)}
            for row in classified(self.net, images)
        ]

    def right(self, images: np.ndarray, said: Sequence[Mapping[str, str]]) -> list[dict[str, bool]]:
        """Of each picture, which traits that were asked for it shows."""
        return [
            {t: shown[t] == word for t, word in asked.items()}
            for shown, asked in zip(self.traits(images), map(judged, said), strict=True)
        ]

    def figures(
        self, right: Sequence[Mapping[str, bool]], said: Sequence[Mapping[str, str]]
    ) -> dict[str, Any]:
        """Accuracy of all traits that were named, and of each beside how often its words are true anyway."""
        each, there, base = defaultdict(list), defaultdict(list), defaultdict(list)
        for ok, asked in zip(right, map(judged, said), strict=True):
            for trait, word in asked.items():
                each[trait].append(ok[trait])
                base[trait].append(self.base[trait][word])
                if word not in ("no", "none"):
                    there[trait].append(ok[trait])
        every = [one for some in each.values() for one in some]
        out = {"mean": share(every), "all_of_a_caption": share([all(ok.values()) for ok in right])}
        for trait in TRAITS:
            if each[trait]:
                out[trait] = {
                    **share(each[trait]),
                    "base_rate": round(float(np.mean(base[trait])), 3),
                }
                if trait in ("hat", "beard", "earrings", "eyewear") and there[trait]:
                    out[trait]["named_as_there"] = share(there[trait])
        return out


def share(right: Sequence[bool]) -> dict[str, Any]:
    """A share with half of its 95 % interval (normal), and of how many."""
    p, n = float(np.mean(right)), len(right)
    return {"share": round(p, 4), "half": round(1.96 * math.sqrt(p * (1 - p) / n), 4), "n": n}


def prompts(
    judge: Judge, rows: np.ndarray, count: int, always: Sequence[str] = ()
) -> tuple[list[str], list[dict[str, str]], np.ndarray]:
    """New captions of pictures of these rows, what they name, and the rows."""
    draws = np.random.default_rng(derive_seed(7, "prompts", *always, len(rows)))
    chosen = rows[draws.integers(len(rows), size=count)]
    share_NU = draws.random((count, DRAWS)).tolist()
    made = [
        caption(judge.full[row], one, number % EACH, always)
        for number, (row, one) in enumerate(zip(chosen.tolist(), share_NU, strict=True))
    ]
    kept = [k for k, (_, said) in enumerate(made) if said]
    return [made[k][0] for k in kept], [made[k][1] for k in kept], chosen[kept]


def between(sets: Sequence[np.ndarray]) -> float:
    """Mean absolute difference in levels of two images of a set, over all pairs and sets."""
    levels = [
        np.abs(one.astype(np.float32) - other).mean()
        for images in sets
        for row, one in enumerate(images)
        for other in images[:row].astype(np.float32)
    ]
    return round(float(np.mean(levels)), 1)


def measured(
    model: Model,
    judge: Judge,
    prepared: data.Prepared,
    side: np.ndarray,
    count: int,
    **controls: Any,
) -> tuple[dict[str, Any], np.ndarray]:
    """The figures of a row, and pictures of the first captions."""
    speaks = isinstance(model.family, abilities.Captions)
    texts, said, rows = prompts(judge, side, count)
    trained = known(prepared)
    images = model.sample(len(texts), seed=3, text=texts, **controls).images
    row = {
        "captions": len(texts),
        "verbatim_in_training": round(float(np.mean([t in trained for t in texts])), 3),
        "pictures": judge.figures(judge.right(images, said), said),
        "real": judge.figures(judge.right(prepared.images[rows], said), said),
        "mean_of_shuffled_captions": share(
            [one for ok in judge.right(np.roll(images, 1, 0), said) for one in ok.values()]
        ),
        "levels_between": {
            "to_one_caption": between(
                [
                    model.sample(DRAWN, seed=4, text=[text] * DRAWN, **controls).images
                    for text in texts[:ASKED]
                ]
            ),
            "without": between([model.sample(DRAWN * ASKED, seed=4).images]),
            "real": between([prepared.images[rows[: DRAWN * ASKED]]]),
        },
        "withheld": {},
        **(
            {"words": words.measured(model, judge, prepared, side[:MOST], controls)}
            if speaks
            else {}
        ),
    }
    unseen = prepared.withheld[1::2]
    both, shown = [], [images[:48]]
    for number, (name, (_, pair)) in enumerate(WITHHELD.items()):
        own = np.array([r for r in unseen.tolist() if pair_of(judge.seen[r]) == name])
        texts, said, rows = prompts(judge, own, count // 5, pair)
        images = model.sample(len(texts), seed=100 + number, text=texts, **controls).images
        right = [all(ok[t] for t in pair) for ok in judge.right(images, said)]
        real = [all(ok[t] for t in pair) for ok in judge.right(prepared.images[rows], said)]
        row["withheld"][name] = {"both": share(right), "real": share(real)}
        both += right
        shown.append(images[:16])
    row["withheld"]["all"] = share(both)
    return row, np.concatenate(shown)


def known(prepared: data.Prepared) -> set[str]:
    """The captions that were trained on."""
    texts = prepared.texts or []
    return {line for row in prepared.train.tolist() for line in texts[row].splitlines()}


def pair_of(seen: Mapping[str, str]) -> str | None:
    """The first pair of `WITHHELD` that is seen."""
    tests = {
        "red hair, eyewear": seen["hair"] == "red" and seen["eyewear"] != "none",
        "green hair, blue background": seen["hair"] == "green" and seen["background"] == "blue",
        "blue hair, hat": seen["hair"] == "blue" and seen["hat"] == "yes",
        "dark skin, yellow clothes": seen["skin"] == "dark" and seen["clothes"] == "yellow",
        "beard, sunglasses": seen["beard"] == "yes" and seen["eyewear"] == "sunglasses",
    }
    return next((name for name, there in tests.items() if there), None)


def main() -> None:
    """Train, or write a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["train", "measure", "story"])
    parser.add_argument("run", type=Path)
    parser.add_argument("--family", default="flow")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="more settings")
    parser.add_argument("--side", choices=["holdout", "train"], default="holdout")
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--minutes", type=float, help="in place of steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--preset", help="by default `text` where there is one")
    parser.add_argument("--vary", type=float, help="of stories: other frames are made of the first")
    parser.add_argument("--describe", action="store_true", help="of stories: by its own words")
    parser.add_argument("--captions", type=int, default=1000)
    parser.add_argument("--guidance", type=float, default=2.0, help="of families that are guided")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    parser.add_argument("--sheet", type=Path, help="a PNG file of the first pictures, not picked")
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    if args.what == "train":
        zeuxis.train(
            args.family,
            "avatars",
            out=args.run,
            steps=None if args.minutes else args.steps,
            minutes=args.minutes,
            preset=args.preset or ("text" if "text" in recipes.names(args.family) else None),
            threads=args.threads,
            evaluate=False,
            overrides=SETTINGS | dict(one.split("=", 1) for one in args.set),
        )
        return
    torch.set_num_threads(1)
    prepared = data.ensure("avatars", Data(withhold=SETTINGS["data.withhold"]))
    judge = Judge(prepared)
    model = zeuxis.load(args.run)
    guided = "guidance_scale" in model.family.Controls.model_fields
    controls = {"guidance_scale": args.guidance} if guided else {}
    side = getattr(prepared, args.side)
    if args.what == "story":
        row, shown = stories.measured(model, judge, STORIES, controls, args.vary, args.describe)
    else:
        row, shown = measured(model, judge, prepared, side, args.captions, **controls)
    if args.sheet:
        save_png(args.sheet, np.kron(grid(shown, columns=16), np.ones((3, 3, 1), np.uint8)))
    row |= {
        "family": model.facts["family"],
        "run": args.run.name,
        "side": args.side,
        **controls,
        "progress": model.facts["progress"],
        "note": args.note,
    }
    if args.record:
        write_row("story" if args.what == "story" else "text", **row)
    else:
        print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
