"""Captions of the embedded avatars: five an image, made of its attributes by templates.

Each names some of what can be seen, in words that vary, and leaves the rest out. No random number is drawn
here.
"""

from collections.abc import Callable, Mapping, Sequence

EACH = 5
"""Captions of an avatar, one by each template."""
OMITTED, DENIED = 0.35, 0.12
"""How often a trait is left out, and how often one that is not there is said not to be."""
DRAWS = 48
"""Numbers that a caption draws, at most."""

HAIR = {
    "chestnut": "brown",
    "auburn": "brown",
    "mahogany": "brown",
    "light-brown": "light brown",
    "dark-blond": "blond",
}
SKIN = {"honey": "tan", "caramel": "tan", "bronze": "dark", "brown": "dark"}
CLOTHES = {
    "dark-red": "red",
    "crimson": "red",
    "amber": "yellow",
    "mint": "green",
    "emerald": "green",
    "light-blue": "blue",
}
HATS = {
    "#3d8a6b": "green",
    "#2663a3": "blue",
    "#989789": "grey",
    "#a62116": "red",
    "#2e1e05": "black",
    "#cc6192": "pink",
    "#614f8a": "purple",
}
BACKGROUND = {"sky": "blue"}
SYNONYMS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "length": {"long": ("long", "flowing"), "short": ("short", "cropped")},
    "hair": {
        "black": ("black", "raven"),
        "brown": ("brown", "chestnut"),
        "light brown": ("light brown", "sandy"),
        "blond": ("blond", "fair"),
        "red": ("red", "ginger"),
        "green": ("green", "lime"),
        "blue": ("blue", "azure"),
    },
    "mood": {"happy": ("happy", "smiling", "cheerful"), "sad": ("sad", "unhappy", "frowning")},
    "eyewear": {
        "glasses": ("glasses", "spectacles"),
        "sunglasses": ("sunglasses", "dark glasses"),
    },
}
TRAITS = (
    "background",
    "skin",
    "clothes",
    "hair",
    "length",
    "eyewear",
    "mood",
    "hat",
    "beard",
    "earrings",
)

Pick = Callable[[Sequence[str]], str]


def traits(columns: Mapping[str, str], hat_colour: str = "") -> dict[str, str]:
    """What can be seen of an avatar, by its columns; `no` and `none` are what is not there.

    `hat_colour` is the colour of its hat in words, which is no trait.
    """
    glasses = {"d": "sunglasses", "l": "glasses"}.get(columns["glasses"][:1], "none")
    return {
        "background": BACKGROUND.get(columns["background"], columns["background"]),
        "skin": SKIN.get(columns["skin"], "light"),
        "clothes": CLOTHES.get(columns["clothing_colour"], columns["clothing_colour"]),
        "hair": HAIR.get(columns["hair"], columns["hair"]),
        "length": "long" if columns["hairstyle"].startswith("long") else "short",
        "eyewear": glasses,
        "mood": "happy" if columns["mouth"].startswith("happy") else "sad",
        "hat": "no" if columns["hat"] == "none" else hat_colour or "yes",
        "beard": "no" if columns["beard"] == "none" else "yes",
        "earrings": "no" if columns["accessory"] == "none" else "yes",
    }


def caption(
    seen: Mapping[str, str], share_U: Sequence[float], template: int, always: Sequence[str] = ()
) -> tuple[str, dict[str, str]]:
    """A caption of an avatar with these traits, and the traits that it names.

    Args:
        seen: by `traits`.
        share_U: `DRAWS` numbers in [0, 1).
        template: below `EACH`.
        always: traits that are not left out.
    """
    draws = iter(share_U)

    def pick(words: Sequence[str]) -> str:
        return words[int(next(draws) * len(words))]

    said = {}
    for name in TRAITS:
        kept, denied = next(draws) > OMITTED, next(draws) < DENIED
        there = seen[name] not in ("no", "none")
        if name in always or (kept if there else denied and name != "earrings"):
            said[name] = seen[name]
    words = {name: pick(SYNONYMS.get(name, {}).get(word, (word,))) for name, word in said.items()}
    worn = _worn(words, pick)
    turn = int(next(draws) * max(1, len(worn)))
    return TEMPLATES[template](words, [*worn[turn:], *worn[:turn]], pick), said


def _worn(words: Mapping[str, str], pick: Pick) -> list[str]:
    """What is on the face and the head."""
    out = []
    if "eyewear" in words:
        out.append(words["eyewear"] if words["eyewear"] != "none" else "no glasses")
    if "hat" in words:
        out.append(
            "no hat" if words["hat"] == "no" else f"a {words['hat']} hat".replace(" yes", "")
        )
    if "beard" in words:
        out.append(pick(("a beard", "a full beard")) if words["beard"] == "yes" else "no beard")
    return [*out, *(["earrings"] if "earrings" in words else [])]


def _hair(words: Mapping[str, str]) -> list[str]:
    """`long red hair`, or less of it."""
    found = [words[name] for name in ("length", "hair") if name in words]
    return [" ".join([*found, "hair"])] if found else []


def _clothes(words: Mapping[str, str], pick: Pick) -> list[str]:
    colour = words.get("clothes")
    return [pick((f"{colour} clothes", f"a {colour} shirt", f"a {colour} top"))] if colour else []


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _face(words: Mapping[str, str], worn: Sequence[str], pick: Pick) -> str:
    skin = [f"{words['skin']} skinned"] if "skin" in words else []
    start = " ".join(["a", *([words["mood"]] if "mood" in words else []), *skin, "face"])
    parts = [*_hair(words), *worn, *_clothes(words, pick)]
    behind = f" on a {words['background']} background" if "background" in words else ""
    return start + (f" with {_listed(parts)}" if parts else "") + behind


def _portrait(words: Mapping[str, str], worn: Sequence[str], pick: Pick) -> str:
    mood = f"{words['mood']} " if "mood" in words else ""
    skin = f" of {words['skin']} skin" if "skin" in words else ""
    wears = [*_clothes(words, pick), *worn]
    parts = [*_hair(words), *([f"wearing {_listed(wears)}"] if wears else [])]
    parts += [f"{words['background']} backdrop"] if "background" in words else []
    return ", ".join([f"portrait of a {mood}person{skin}", *parts])


def _tags(words: Mapping[str, str], worn: Sequence[str], pick: Pick) -> str:
    parts = [f"{words['mood']} expression"] if "mood" in words else []
    parts += [f"{words['skin']} skin"] if "skin" in words else []
    parts += [*_hair(words), *_clothes(words, pick), *worn]
    parts += [f"{words['background']} background"] if "background" in words else []
    turn = int(pick(list(map(str, range(max(1, len(parts)))))))
    return ", ".join(parts[turn:] + parts[:turn]) or "a face"


def _scene(words: Mapping[str, str], worn: Sequence[str], pick: Pick) -> str:
    place = f"in front of a {words['background']} wall, " if "background" in words else ""
    has = [*_hair(words), *([f"{words['skin']} skin"] if "skin" in words else [])]
    parts = [f"who has {_listed(has)}"] if has else []
    parts += [f"with {_listed(worn)}"] if worn else []
    parts += [f"dressed in {each}" for each in _clothes(words, pick)]
    return f"{place}someone {' '.join([*([words['mood']] if 'mood' in words else []), *parts])}".strip()


def _short(words: Mapping[str, str], worn: Sequence[str], pick: Pick) -> str:
    start = " ".join([*(words[name] for name in ("mood", "skin") if name in words), "person"])
    behind = [f"{words['background']} behind"] if "background" in words else []
    return ", ".join([start, *_hair(words), *worn, *_clothes(words, pick), *behind])


TEMPLATES = (_face, _portrait, _tags, _scene, _short)
