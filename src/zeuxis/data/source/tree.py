"""Sources that are trees of files: a folder, a zip of one, tars. Their images, classes, sides and words."""

from zeuxis.data.source.base import Item, Source
from zeuxis.data.source.beside import Beside
from zeuxis.data.source.files import Files
from zeuxis.data.source.pairs import Folders
from zeuxis.data.source.places import layout, masks_beside, parent_of, sides_in_names
from zeuxis.data.source.values import caption, said, spread

MASKS = (
    "it is a mask or a map beside its image, which only families that translate use (data.pairs=MASKS:IMAGES "
    "names the folders)"
)


class TreeSource(Source):
    """The images among `files`, with all that is said about them."""

    def __init__(self, name: str, kind: str, files: Files, folders: Folders | None = None) -> None:
        super().__init__(name, kind)
        self._files, self.folders = files, folders
        masks = {} if folders else masks_beside(files.images)
        images = [image for image in files.images if image not in masks]
        # Folders of sources and targets are no classes: images are placed as if they were not there.
        placed = {i: files.placed(folders.place(i)[1] if folders else i) for i in images}
        found = layout(list(placed.values()))
        beside = Beside(files, images, [*masks], found.depth + files.around, bool(folders))
        for mask, image in masks.items():
            if image in beside.rows:
                row = beside.rows[image]
                row["mask_file"] = "\n".join(filter(None, (row.get("mask_file"), mask)))
        self.problems += files.problems + beside.problems
        self.licence, self.legend = beside.licence, beside.legend
        labelled = any(said(row.get("label")) for row in beside.rows.values())
        self.no_classes = found.why
        if labelled and found.labels:
            names = ", ".join(sorted(set(found.labels.values()))[:4])
            beside.unused.add(f"folders as classes ({names})", "other files say the labels")
        elif found.note and found.labels:
            self.notes.append(found.note)
        if not found.sides and (named := sides_in_names(images)):
            self.notes.append(named)
        if masks:
            beside.unused.add([*masks], MASKS)
        for image, columns in zip(
            images, spread(list(beside.rows.values()), beside.unused), strict=True
        ):
            parent = parent_of(placed[image])
            if not labelled and parent in found.labels:
                columns["label"] = found.labels[parent]
            text = caption(columns)
            self.items.append(Item(image, columns, text, found.sides.get(parent)))
        self.notes += files.notes + beside.notes + beside.unused.sentences()

    def read(self, index: int) -> bytes:
        """The encoded file of item `index`."""
        return self._files.read(self.items[index].name)

    def placed(self, name: str) -> str:
        """The path of an item whose folders say something."""
        return self._files.placed(name)

    def close(self) -> None:
        """Let go of the archive."""
        self._files.close()
