"""A small fixed classifier, for the classification accuracy score of class-conditional models.

A network trained on generated images only and tested on real ones scores high if the samples are
correct, diverse and match their labels (Ravuri & Vinyals 2019, arXiv:1905.10887, "classification
accuracy score"). Everything here is pinned, since the score depends on the classifier: three
convolutions of 32, 64 and 128 channels, batch norm, horizontal flips, Adam with a one-cycle
schedule. Its learning rate was chosen once, on real Fashion-MNIST, without the test set. The reverse,
trained on real images and tested on samples, is high if samples are recognisable, however low their
diversity (Shmelkov et al. 2018, arXiv:1807.09499: GAN-train and GAN-test).

Shapes: B batch, N images, H height, W width, C channels, K classes.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeuxis.core import machine
from zeuxis.core.errors import Invalid
from zeuxis.core.pixels import from_uint8, to_tensor
from zeuxis.core.rng import derive_seed
from zeuxis.metrics import Estimate, share

BATCH = 128
STEPS = 1875
WIDTHS = (32, 64, 128)
PEAK_LR = 1e-2
WARMUP = 0.3


class Classifier(nn.Module):
    """Three convolutions, each with 2x2 max pooling, batch norm and ReLU; then the average, a line.

    Args:
        channels: of the images.
        classes: K.
        seed: of the initial weights; the global generator is not touched.
    """

    def __init__(self, channels: int, classes: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(derive_seed(seed, "classifier weights"))
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for before, width in itertools.pairwise((channels, *WIDTHS)):
            conv = nn.utils.skip_init(nn.Conv2d, before, width, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.get_parameter("weight"), generator=generator)
            self.convs.append(conv)
            self.norms.append(nn.BatchNorm2d(width))
        self.head = nn.utils.skip_init(nn.Linear, WIDTHS[-1], classes)
        nn.init.normal_(
            self.head.get_parameter("weight"), std=WIDTHS[-1] ** -0.5, generator=generator
        )
        nn.init.zeros_(self.head.get_parameter("bias"))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Logits (B, K)."""
        x = image_BCHW
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = conv(x)
            if min(x.shape[2:]) >= 2:  # pooled before the norm: a quarter of the memory traffic
                x = F.max_pool2d(x, 2)
            x = F.relu(norm(x))
        return self.head(x.mean((2, 3)))


def train_classifier(
    images_NHWC: np.ndarray,
    labels_N: np.ndarray,
    classes: int,
    seed: int = 0,
    steps: int = STEPS,
) -> Classifier:
    """Train the pinned classifier; the same arguments give the same one on the same machine.

    Args:
        images_NHWC: uint8.
        labels_N: class of each, in [0, K).
        classes: K.
        seed: of weights, order and flips.
        steps: of 128 images.

    Raises:
        ValueError: images and labels differ in number, or a label is outside [0, K).
    """
    _check(images_NHWC, labels_N, classes)
    net = Classifier(images_NHWC.shape[-1], classes, seed).train()
    adam = torch.optim.Adam(net.parameters(), lr=PEAK_LR, betas=(0.9, 0.99))
    labels = torch.from_numpy(np.array(labels_N, np.int64))
    generator = torch.Generator().manual_seed(derive_seed(seed, "classifier order"))
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        while len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(labels), generator=generator)])
        rows, order = order[:BATCH], order[BATCH:]
        image = from_uint8(to_tensor(images_NHWC[rows.numpy()]))
        flip = torch.rand(len(rows), 1, 1, 1, generator=generator) < 0.5
        image = torch.where(flip, image.flip(3), image).contiguous(
            memory_format=torch.channels_last
        )
        for group in adam.param_groups:
            group["lr"] = PEAK_LR * _schedule(step / steps)
        with _arithmetic():
            logits_BK = net(image)
        loss = F.cross_entropy(logits_BK.float(), labels[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net.eval()


@torch.inference_mode()
def predict(net: Classifier, images_NHWC: np.ndarray) -> np.ndarray:
    """Most likely class of each uint8 image, (N,) int64."""
    found = []
    for start in range(0, len(images_NHWC), 500):
        image = from_uint8(to_tensor(np.ascontiguousarray(images_NHWC[start : start + 500])))
        with _arithmetic():
            found.append(net(image).float().argmax(1))
    return torch.cat(found).numpy()


def accuracy(net: Classifier, images_NHWC: np.ndarray, labels_N: np.ndarray) -> float:
    """Share of the uint8 images whose most likely class is their label, in [0, 1]."""
    return float((predict(net, images_NHWC) == np.asarray(labels_N)).mean())


def classification_accuracy(
    fake_NHWC: np.ndarray,
    fake_labels_N: np.ndarray,
    real_MHWC: np.ndarray,
    real_labels_M: np.ndarray,
    test_LHWC: np.ndarray,
    test_labels_L: np.ndarray,
    classes: int,
    seeds: Sequence[int] = (0,),
    steps: int = STEPS,
) -> dict[str, Estimate]:
    """Classification accuracy score: train on samples, test on real images, and the reverse.

    Args:
        fake_NHWC: samples, uint8.
        fake_labels_N: the class that was asked for, in [0, K).
        real_MHWC: real images to train on, uint8.
        real_labels_M: class of each.
        test_LHWC: real test images, none of which is trained on, uint8.
        test_labels_L: class of each.
        classes: K.
        seeds: one classifier is trained for each; the accuracies are averaged.
        steps: of each classifier.

    Returns:
        Accuracies with Wilson's interval over the test images, not over the seeds; each seed's accuracy is
        in the receipt. `by_samples`: trained on samples, tested on real images. `by_real`: trained and
        tested on real images, the baseline. `on_samples`: trained on real images, tested on samples.

    Raises:
        ValueError: no seed, no test image, images and labels do not match, or sizes differ.
    """
    if not seeds:
        raise Invalid("no seeds: pass at least one, each trains a classifier of its own")
    _check(test_LHWC, test_labels_L, classes)
    names = {  # trained on, tested on
        "by_samples": ("samples", "hold-out images"),
        "by_real": ("real images", "hold-out images"),
        "on_samples": ("real images", "samples"),
    }
    sides = {
        "samples": (fake_NHWC, fake_labels_N),
        "real images": (real_MHWC, real_labels_M),
        "hold-out images": (test_LHWC, test_labels_L),
    }
    alike({side: images for side, (images, _) in sides.items()})
    scores: dict[str, list[float]] = {name: [] for name in names}
    for seed in seeds:
        nets = {
            training: train_classifier(*sides[training], classes, seed, steps)
            for training in ("samples", "real images")
        }
        for name, (training, test) in names.items():
            scores[name].append(accuracy(nets[training], *sides[test]))
    found = {}
    for name, (training, test) in names.items():
        mean, n = float(np.mean(scores[name])), len(sides[test][0])
        receipt = {
            "taught_by": training,
            "taught_with": len(sides[training][0]),
            "tested_on": test,
            "steps": steps,
            "accuracy_by_seed": dict(zip(map(str, seeds), scores[name], strict=True)),
            "classifier": "pinned, 3 convolutions 32-64-128, batches of 128",
            "interval": "95 %, Wilson, of the tested images",
        }
        found[name] = dataclasses.replace(share(round(mean * n), n, receipt), value=mean)
    return found


def alike(sides: Mapping[str, np.ndarray]) -> None:
    """Let pass sets of images of one size and channel count.

    Raises:
        ValueError: two differ; names them.
    """
    (first, images), *others = sides.items()
    for name, other in others:
        if other.shape[1:] != images.shape[1:]:
            raise Invalid(
                f"{first} are {images.shape[1:]} and {name} {other.shape[1:]} "
                "(height, width, channels): bring all to one size"
            )


def _check(images_NHWC: np.ndarray, labels_N: np.ndarray, classes: int) -> None:
    if len(images_NHWC) != len(labels_N) or len(labels_N) == 0:
        raise Invalid(
            f"{len(images_NHWC)} images and {len(labels_N)} labels: pass one label for each image"
        )
    if labels_N.min() < 0 or labels_N.max() >= classes:
        raise Invalid(
            f"labels run from {labels_N.min()} to {labels_N.max()}, expected 0 to {classes - 1}"
        )


def _arithmetic() -> AbstractContextManager[None]:
    """bfloat16 where this CPU multiplies it in hardware."""
    cpu = torch.device("cpu")
    return machine.arithmetic(cpu, "bfloat16" if machine.fast_bfloat16(cpu) else "float32")


def _schedule(progress: float) -> float:
    """Share of the peak rate: up in a line, down in a line to zero."""
    return min(progress / WARMUP, (1 - progress) / (1 - WARMUP)) + 1e-3
