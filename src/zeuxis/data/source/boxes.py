"""Boxes as Pascal VOC and COCO write them, and COCO's captions, as words about images.

A box is a line "left top right bottom class", in pixels of the file. No family learns from boxes yet.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from typing import Any

from zeuxis.core.errors import Invalid
from zeuxis.core.files import parse_json
from zeuxis.data.source.values import word

SIDES = ("xmin", "ymin", "xmax", "ymax")
VOC = "XML is read as Pascal VOC writes boxes: annotation, object, name, bndbox"
LARGEST = 1 << 27
"""Bytes of a list of boxes at most."""


def is_coco(content: bytes) -> bool:
    """Whether JSON may be COCO's: it speaks of images and of their annotations."""
    return b'"images"' in content and b'"annotations"' in content


def of_voc(content: bytes) -> str:
    """The boxes of one image, from its `annotation`.

    Raises:
        ValueError: it is no such file.
    """
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise Invalid(VOC) from error
    if root.tag != "annotation":
        raise Invalid(VOC)
    return "\n".join(
        _line((entry.findtext(f"bndbox/{side}") for side in SIDES), entry.findtext("name"))
        for entry in root.iter("object")
    )


def of_coco(content: bytes) -> dict[str, dict[str, str]]:
    """What is said of each image, by its file name: `boxes`, and `text` if there are captions.

    Raises:
        ValueError: it is no such file.
    """
    entry = parse_json(content, most=LARGEST)
    try:
        files = {image["id"]: str(image["file_name"]) for image in entry["images"]}
        names = {each["id"]: each.get("name") for each in entry.get("categories", ())}
        found: dict[str, dict[str, list[str]]] = {file: {} for file in files.values()}
        for each in entry["annotations"]:
            row = found[files[each["image_id"]]]
            if "bbox" in each:
                left, top, width, height = each["bbox"]
                sides = (left, top, left + width, top + height)
                row.setdefault("boxes", []).append(_line(sides, names.get(each.get("category_id"))))
            elif "caption" in each:
                row.setdefault("text", []).append(str(each["caption"]).strip())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(
            f"it is not as COCO writes boxes ({type(error).__name__}: {error})"
        ) from error
    return {
        file: {k: "\n".join(v) if k == "boxes" else v[0] for k, v in row.items()}
        for file, row in found.items()
    }


def _line(sides: Iterable[Any], name: str | None) -> str:
    """One box.

    Raises:
        ValueError: a side is no number.
    """
    words = [word(float(side)) for side in sides if side is not None]
    if len([*filter(None, words)]) != len(SIDES):
        raise Invalid("a box in it has not four sides")
    return " ".join([*words, re.sub(r"\s+", " ", str(name or "")).strip()]).strip()
