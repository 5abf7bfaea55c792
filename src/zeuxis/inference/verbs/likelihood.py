"""Verbs that ask how likely images are."""

from typing import TYPE_CHECKING

from zeuxis.inference.arguments import Coded, Labels, NamedPixels, Pixels, Seed
from zeuxis.inference.compressed import Compressed
from zeuxis.inference.prompts import Numbers, Text
from zeuxis.inference.results import Images, Scores
from zeuxis.inference.verb import verb

if TYPE_CHECKING:
    from zeuxis.core.progress import Progress
    from zeuxis.inference.model import Model


@verb("Scores", "zeuxis score runs/pixelcnn-photos photos/ --out scores.csv")
def score(
    model: "Model",
    images: Pixels,
    labels: Labels = None,
    text: Text = None,
    numbers: Numbers = None,
    seed: Seed = 0,
    progress: "Progress | None" = None,
) -> Scores:
    """Likelihood of images under the model, in bits per dimension.

    The seed is that of the draws that a bound or an estimate takes. What is not given of labels, text and
    numbers is unknown.
    """
    from zeuxis.inference.labels import described

    more, _ = described(model, len(images), seed, numbers, text, open_to_data=False)
    bits_N = model.batches(
        lambda ask: ask.family.bits_per_dim(
            {"image": ask.inputs["images"], **ask.cond}, ask.random
        ).float(),
        labels,
        {"images": images, **more},
        seed=seed,
        progress=progress,
    )
    return Scores(bits=bits_N.cpu().numpy(), kind=str(model.family.kind))


@verb(
    "Sequential",
    "zeuxis compress runs/pixelcnn-photos photos/ --out photos.zxi",
    device="cpu",
)
def compress(model: "Model", images: NamedPixels, progress: "Progress | None" = None) -> Compressed:
    """Compress images without loss into one file, by a model with exact likelihoods."""
    from zeuxis.inference import codec

    pixels_NHWC, names = images
    return codec.compress(model, pixels_NHWC, names, progress)


@verb(
    "Sequential",
    "zeuxis decompress runs/pixelcnn-photos photos.zxi --out photos-again",
    device="cpu",
    marked=False,
)
def decompress(model: "Model", file: Coded, progress: "Progress | None" = None) -> Images:
    """Restore the images of a compressed file, bit for bit."""
    from zeuxis.inference import codec

    images, names = codec.decompress(model, file, progress)
    return Images(images=images, names=names)
