"""Features by which sets of images are compared: choose a network, extract, keep the receipt."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from zeuxis.core.errors import Invalid
from zeuxis.core.progress import Progress
from zeuxis.features import dinov2, efficientnet, foreign, inception
from zeuxis.features.efficientnet import SIZE, load_network, prepare
from zeuxis.features.extraction import Extractor, Features, Precision

__all__ = [
    "NETWORKS",
    "SIZE",
    "Extractor",
    "Features",
    "extractor",
    "features",
    "load_network",
    "prepare",
    "stream",
]

NETWORKS = ("efficientnet-lite0", "inception", *dinov2.SIZES)

Network = str | Path | nn.Module | Callable[[Tensor], Tensor]


def extractor(
    network: Network,
    *,
    weights: str | Path | None = None,
    published: bool = True,
    precision: Precision = "float32",
    size: int | None = None,
) -> Extractor:
    """A feature network, ready to look at uint8 images.

    Args:
        network: one of `NETWORKS`; the path of an .onnx file; or any module or function that maps
            (B, 3, size, size) float32 in [-1, 1] to (B, D).
        weights: file of the network's weights. "inception" also finds a published file in the
            cache folder; "efficientnet-lite0" needs none.
        published: False lets "inception" take other weights than the published ones. Its receipt
            then says so and no number may be called FID.
        precision: "bfloat16" runs the network under autocast.
        size: side of the network's input; default the network's own, 224 for foreign ones.

    Raises:
        ValueError: no such network, or weights that are missing, or not what they should be.
    """
    if not isinstance(network, str | Path):
        return foreign.of_module(network, size, precision)
    name = str(network)
    if name.endswith(".onnx"):
        if precision != "float32":
            raise Invalid("an ONNX file has its own precision; leave precision='float32'")
        return foreign.of_onnx(Path(name), size)
    if name == "inception":
        if size not in (None, 299):
            raise Invalid(f"Inception looks at 299x299, not {size}; leave the size out")
        return inception.extractor(weights, published, precision)
    if name in dinov2.SIZES:
        return dinov2.extractor(name, weights, size, precision)
    if name != "efficientnet-lite0":
        raise Invalid(
            f"no feature network {name!r}; choose {', '.join(NETWORKS)}, or the path of an .onnx file"
        )
    if weights is not None:
        raise Invalid("efficientnet-lite0 has its own weights; leave the weights out")
    return efficientnet.extractor(size, precision)


def stream(
    pixels_NHWC: np.ndarray,
    network: Extractor,
    chunk: int | None = None,
    progress: Progress | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """All taps of chunk after chunk of images, each (B, D) float32, in one pass.

    The last chunk is padded to the size of the others, since a batch of another size changes last bits: an
    image's features do not depend on how many come with it.

    Args:
        pixels_NHWC: uint8 with 1, 3 or 4 channels; a memory map is read chunk by chunk.
        network: which network.
        chunk: images at a time; default what suits the network.
        progress: called with (done, total) after each chunk.

    Raises:
        ValueError: no images, or not uint8, or features that are no numbers: then the sentence
            names the first such image.
    """
    total, step = len(pixels_NHWC), chunk or network.chunk
    for start in range(0, max(total, 1), step):
        batch = pixels_NHWC[start : start + step]
        found = network(batch[np.arange(step) % len(batch)] if len(batch) else batch)
        arrays = {tap: tensor[: len(batch)].numpy() for tap, tensor in found.items()}
        for tap, array_BD in arrays.items():
            bad = np.flatnonzero(~np.isfinite(array_BD).all(1))
            if len(bad):
                raise Invalid(
                    f"the features of image {start + bad[0]} are not finite (tap {tap!r}): "
                    "look at that image and at the network's weights"
                )
        yield arrays
        if progress:
            progress(min(start + step, total), total)


def features(
    pixels_NHWC: np.ndarray,
    network: Network | Extractor = "efficientnet-lite0",
    tap: str | None = None,
    *,
    size: int | None = None,
    chunk: int | None = None,
    progress: Progress | None = None,
) -> Features:
    """Features of uint8 images of any size with 1, 3 or 4 channels.

    Grey is repeated, transparency is composited on white; then the network's own resize.

    Args:
        pixels_NHWC: uint8; a memory map is read chunk by chunk.
        network: an extractor, or what `extractor` takes.
        tap: which layer; default the network's first.
        size: side of the network's input; default the network's own.
        chunk: images at a time; default what suits the network.
        progress: called with (done, total) after each chunk.

    Raises:
        ValueError: no images, or not uint8, or another number of channels; no such network or tap;
            features that are no numbers.
    """
    if not isinstance(network, Extractor):
        network = extractor(network, size=size)
    elif size is not None:
        raise Invalid("an extractor has its size already; leave the size out")
    tap = tap or network.taps[0]
    receipt = network.receipt(tap)
    found = [arrays[tap] for arrays in stream(pixels_NHWC, network, chunk, progress)]
    image = "x".join(str(side) for side in pixels_NHWC.shape[1:])
    return Features(np.concatenate(found), {**receipt, "image": image})
