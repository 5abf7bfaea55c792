"""Emoji of two styles as a set of pairs, or of domains without pairs.

    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 @lobehub/fluent-emoji-3d@1.1.0
    python -m benchmarks.pairs.emoji PACKAGES OUT noto twemoji [--side 32] [--unpaired]

OUT has train/A, train/B, test/A and test/B, over white, reduced by the mean of areas. Emoji are split by what
they show, without skin tone, sex and joiners: 20 % of these are held out, one picture of each. Without pairs,
training has the first style of one half of the others and the second style of the other half.

Noto emoji: Apache-2.0, Google. Twemoji: CC-BY 4.0, Twitter and contributors. Fluent emoji: MIT, Microsoft.
"""

import argparse
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

STYLES = {
    "noto": ("emoji-datasource-google-16.0.0.tgz", "package/img/google/64/"),
    "twemoji": ("emoji-datasource-twitter-16.0.0.tgz", "package/img/twitter/64/"),
    "fluent": ("lobehub-fluent-emoji-3d-1.1.0.tgz", "package/assets/"),
}
MODIFIERS = re.compile("-?(1f3f[b-f]|fe0f|200d|2640|2642)")
PEOPLE = re.compile("1f46[89]")
HELD = 0.2


def members(archive: Path, prefix: str) -> Iterator[tuple[str, Image.Image]]:
    """Code points and picture of each file."""
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.name.startswith(prefix) and member.isfile():
                content = opened.extractfile(member)
                assert content is not None
                codes = Path(member.name).stem.lower().split("-")
                plain = "-".join(part for part in codes if part != "fe0f")
                yield plain, Image.open(io.BytesIO(content.read()))


def opaque(picture: Image.Image, side: int) -> Image.Image:
    """Over white."""
    colours = picture.convert("RGBA")
    ground = Image.new("RGBA", colours.size, "white")
    ground.alpha_composite(colours)
    return ground.convert("RGB").resize((side, side), Image.Resampling.BOX)


def base(codes: str) -> str:
    """What an emoji shows, whoever does it."""
    return PEOPLE.sub("1f9d1", MODIFIERS.sub("", codes))


def folders(codes: list[str], paired: bool) -> Iterator[tuple[str, str]]:
    """Emoji and each folder that it goes to."""
    kinds, seen = sorted({base(each) for each in codes}), set()
    order = np.random.default_rng(0).permutation(len(kinds))
    place = {kinds[at]: rank / len(kinds) for rank, at in enumerate(order)}
    for each in codes:
        kind = base(each)
        if place[kind] >= HELD:
            half = "B" if place[kind] < (1 + HELD) / 2 else "A"
            yield from ((each, f"train/{side}") for side in ("AB" if paired else half))
        elif kind not in seen:
            seen.add(kind)
            yield from ((each, f"test/{side}") for side in "AB")


def main() -> None:
    """Write all pictures, and say how many."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("styles", nargs=2, choices=tuple(STYLES), metavar="style")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--unpaired", action="store_true")
    asked = parser.parse_args()
    both = []
    for style in asked.styles:
        name, prefix = STYLES[style]
        both.append(dict(members(asked.packages / name, prefix)))
    count: dict[str, int] = {}
    for codes, folder in folders(sorted(both[0].keys() & both[1].keys()), not asked.unpaired):
        path = asked.out / folder / f"{codes}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        opaque(both["AB".index(folder[-1])][codes], asked.side).save(path)
        count[folder] = count.get(folder, 0) + 1
    print(json.dumps(count))


if __name__ == "__main__":
    main()
