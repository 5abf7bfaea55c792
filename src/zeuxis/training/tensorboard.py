"""Losses, scores and samples as TensorBoard event files (extra `tensorboard`)."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from zeuxis.core.errors import Unable
from zeuxis.training.observers import Action, Observer, View


class TensorBoard(Observer):
    """Writes what is logged, and the sheets of samples, into `tensorboard/` of a run.

    Args:
        every: steps between losses.

    Raises:
        Unable: the extra is not installed.
    """

    name = "tensorboard"

    def __init__(self, every: int) -> None:
        super().__init__(every)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise Unable(
                "TensorBoard is not installed: pip install 'zeuxis[tensorboard]'"
            ) from None
        self._open = SummaryWriter
        self._writer: Any = None

    def see(self, view: View) -> Iterable[Action]:
        """Losses of this step, its scores, and the sheet that was drawn, if any."""
        if self._writer is None or view.memory.get("attempt") != view.attempt:
            # what another process wrote of later steps, or of those that were taken back, is hidden
            self._writer = self._open(view.folder / "tensorboard", purge_step=view.step)
            view.memory["attempt"] = view.attempt
        scores = {f"scores/{name}": value for name, value in view.scores.items()}  # one group
        for name, value in {**view.losses, **scores}.items():
            self._writer.add_scalar(name, value, view.step)
        sheet = view.folder / "samples" / f"step-{view.step:08d}.png"
        if sheet.exists():
            with Image.open(sheet) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image("samples", pixels, view.step, dataformats="HWC")
        self._writer.flush()
        return ()
