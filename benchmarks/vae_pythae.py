"""`vae` against pythae 0.1.2 on Fashion-MNIST at 28 x 28: images/s, and the bound after equal minutes.

Both train the very same encoder and decoder modules without labels, from the same initial weights, on
images in [-1, 1], in batches of 64. pythae runs as it comes, with its own trainer (Adam, 1e-3) and its
squared error, and gets the best of amp on/off and workers 0/2. Its model has no scale, so that one is
fitted to its reconstructions of training images, which is the best that can be done for it without
retraining; both are then scored on the test images by our `bits_per_dim`.

pythae needs an environment of its own, in which Zeuxis can be imported too (it wants torch only):

    python -m venv PYTHAE && PYTHAE/bin/pip install torch==2.13.0 -e . cloudpickle imageio scikit-learn tqdm
    PYTHAE/bin/pip install --no-deps pythae==0.1.2
    PYTHAE/bin/python -m benchmarks.vae_pythae FASHION_MNIST_FOLDER --minutes 2
"""

import argparse
import gzip
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE as PythaeVAE
from pythae.models import VAEConfig as PythaeConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor

from benchmarks.row import write_row
from zeuxis.core import machine
from zeuxis.core.abilities import Batch
from zeuxis.core.pixels import from_uint8
from zeuxis.core.processes import Parallel
from zeuxis.core.rng import Rng
from zeuxis.core.settings import Training
from zeuxis.families.vae import VAE, VAEConfig
from zeuxis.objectives.likelihood import logistic_nats
from zeuxis.training import step

BATCH, WARM = 64, 5


class Encoder(BaseEncoder):
    """Our encoder as pythae wants it."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> ModelOutput:
        """Mean and log variance."""
        mean_BZ, deviation_BZ = self.net(x, x.new_zeros(len(x), 0))
        return ModelOutput(embedding=mean_BZ, log_covariance=2 * deviation_BZ.log())


class Decoder(BaseDecoder):
    """Our decoder as pythae wants it."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> ModelOutput:
        """The image."""
        return ModelOutput(reconstruction=self.net(z, z.new_zeros(len(z), 0)))


class Clock(TrainingCallback):
    """Seconds at the end of each training step."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def on_train_step_end(self, training_config: BaseTrainerConfig, **kwargs: object) -> None:
        """Called by the trainer after each batch."""
        self.at.append(time.perf_counter())

    def images_per_second(self) -> float:
        """Without the first steps, which warm up."""
        return BATCH * (len(self.at) - 1 - WARM) / (self.at[-1] - self.at[WARM])


def read(folder: Path, name: str) -> Tensor:
    """Images of an idx file, (N, 1, 28, 28) uint8."""
    path = folder / name
    packed = path.with_name(path.name + ".gz")
    content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=16).copy()).view(-1, 1, 28, 28)


def fresh(**values: object) -> VAE:
    """The same initial weights for everyone."""
    torch.manual_seed(0)
    return VAE(VAEConfig(height=28, width=28, channels=1, **values))


def theirs(images: Tensor, amp: bool, workers: int) -> tuple[VAE, float]:
    """Our class around the modules that pythae trained once over `images`, and its images/s."""
    model = fresh(prior_depth=0)
    wrapped = PythaeVAE(
        PythaeConfig(input_dim=(1, 28, 28), latent_dim=model.config.latent),
        Encoder(model.encoder),
        Decoder(model.decoder),
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=1,
            learning_rate=1e-3,
            per_device_train_batch_size=BATCH,
            train_dataloader_num_workers=workers,
            amp=amp,
            no_cuda=True,
            keep_best_on_train=True,
        )
        data = BaseDataset(from_uint8(images), torch.zeros(len(images)))
        BaseTrainer(wrapped, data, training_config=settings, callbacks=[clock]).train()
    return model, clock.images_per_second()


def ours(images: Tensor, steps: int, precision: str) -> tuple[VAE, float]:
    """The averaged model after `steps` of our loop, and its images/s."""
    training = Training(**{**VAE.TRAINING.model_dump(), "batch_size": BATCH, "steps": steps})
    state = step.start(fresh(), training, torch.device("cpu"), precision, Parallel())
    images = images.contiguous(memory_format=torch.channels_last)

    def load(draw: int, rows: slice) -> Batch:
        order = np.random.default_rng(draw).integers(0, len(images), BATCH)
        return {"image": images[torch.from_numpy(order[rows])]}

    for state.step in range(steps):
        if state.step == WARM:
            began = time.perf_counter()
        step.train_step(state, load)
    return state.average, BATCH * (steps - WARM) / (time.perf_counter() - began)


@torch.no_grad()
def fit_scale(model: VAE, images: Tensor) -> None:
    """Give a model that was trained without a scale the best one for `images`."""
    image_BCHW, none = from_uint8(images), torch.zeros(len(images), 0)
    mean_BZ, deviation_BZ = model.encoder(image_BCHW, none)
    noise_BZ = Rng(range(len(images))).normal("z", model.config.latent)
    mean_BCHW = model.decoder(mean_BZ + deviation_BZ * noise_BZ, none)

    def nats(raw: float) -> float:
        model.scale.fill_(raw)
        return logistic_nats(image_BCHW, mean_BCHW, model.log_scale()).mean().item()

    model.scale.fill_(min(torch.linspace(-1.5, 0.5, 81).tolist(), key=nats))


@torch.no_grad()
def bits(model: VAE, images: Tensor) -> float:
    """Mean bound in bits per dimension, in float32."""
    rows = [slice(i, i + 500) for i in range(0, len(images), 500)]
    scores = [
        model.bits_per_dim({"image": from_uint8(images[r])}, Rng(range(r.start, r.stop)))
        for r in rows
    ]
    return torch.cat(scores).mean().item()


def main() -> None:
    """Measure the speeds, train both for the same minutes, score both, write the row."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where Fashion-MNIST's idx files are")
    parser.add_argument("--minutes", type=float, default=2.0)
    options = parser.parse_args()
    train = read(options.folder, "train-images-idx3-ubyte")
    test = read(options.folder, "t10k-images-idx3-ubyte")
    speeds = {
        f"amp={amp} workers={workers}": theirs(train[: 40 * BATCH], amp, workers)[1]
        for amp in (False, True)
        for workers in (0, 2)
    }
    precision = "bfloat16" if machine.fast_bfloat16(torch.device("cpu")) else "float32"
    best = max(speeds, key=lambda name: speeds[name])
    seconds = 60 * options.minutes
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(train)))
    seen = train[order[: int(seconds * speeds[best])]]
    peer, peer_speed = theirs(seen, "amp=True" in best, int(best[-1]))
    fit_scale(peer, train[:2000])
    machine.keep_memory()  # as `zeuxis train` does; pythae has had its turn
    _, speed = ours(train, 60, precision)
    model, speed = ours(train, int(seconds * speed / BATCH), precision)
    write_row(
        "vae_pythae",
        minutes=options.minutes,
        pythae_images_per_second={k: round(v, 1) for k, v in speeds.items()},
        pythae_long_run=round(peer_speed, 1),
        zeuxis_images_per_second=round(speed, 1),
        ratio=round(speed / max(peer_speed, *speeds.values()), 2),
        pythae_test_bits_per_dim=round(bits(peer, test), 4),
        zeuxis_test_bits_per_dim=round(bits(model, test), 4),
        precision=precision,
    )


if __name__ == "__main__":
    main()
