"""Independent implementations that tests and benchmarks compare with; `make peers` installs them."""

import sys
import types

import pytest
import torch
from torch.nn import functional as F

from zeuxis.features import inception_network as inception

STUBBED = ("datasets", "models", "ops", "transforms", "transforms.functional")


class _Absent:
    """Stands for a class of torchvision that is subclassed or named, and never used."""


def _to_tensor(image):
    """What torch-fidelity needs of `pil_to_tensor`: (C, H, W) uint8."""
    bands, (width, height) = len(image.getbands()), image.size
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(height, width, bands).permute(2, 0, 1).contiguous()


class _Compose:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, image):
        for step in self.steps:
            image = step(image)
        return image


def torch_fidelity():
    """The module torch_fidelity, or skip.

    It imports torchvision, which nothing here may install: small modules take its place while it does, and
    not longer, since diffusers looks whether there is one.
    """
    pytest.importorskip("tqdm", reason="`make peers` installs torch-fidelity")
    if "torch_fidelity" not in sys.modules:
        root = types.ModuleType("torchvision")
        modules = {"": root} | {name: types.ModuleType(f"torchvision.{name}") for name in STUBBED}
        for name in ("CIFAR10", "CIFAR100", "STL10"):
            setattr(modules["datasets"], name, _Absent)
        modules["transforms"].Compose = _Compose
        modules["transforms.functional"].pil_to_tensor = _to_tensor
        for name, module in modules.items():
            if name:
                parent, _, last = name.rpartition(".")
                setattr(modules[parent], last, module)
            sys.modules[module.__name__] = module
        try:
            pytest.importorskip("torch_fidelity", reason="`make peers` installs it")
        finally:
            for module in modules.values():
                del sys.modules[module.__name__]
    return sys.modules["torch_fidelity"]


def inception_weights(seed=0, scales=True):
    """Random tensors with the names and shapes of the published Inception's state dict.

    Fresh norms would make all features nearly equal, so each norm is set to what its convolution
    sends it on a batch of noise, one after the other. Without `scales` their scales are 1, as in
    the TorchScript archive.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    weights = {"fc.weight": normal(1008, 2048) / 60, "fc.bias": normal(1008)}
    for name, (out, into, height, width) in inception.SHAPES.items():
        fan = into * height * width
        weights[f"{name}.conv.weight"] = normal(out, into, height, width) * (2 / fan) ** 0.5
        scale = 1 + 0.3 * torch.rand(out, generator=generator) if scales else torch.ones(out)
        weights[f"{name}.bn.weight"] = scale
        weights[f"{name}.bn.bias"] = 0.3 * normal(out)
        weights[f"{name}.bn.running_mean"] = torch.zeros(out)
        weights[f"{name}.bn.running_var"] = torch.ones(out)
        weights[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
    net = inception.Inception(weights)

    def calibrate(conv, inputs):
        bare = F.conv2d(inputs[0], conv.weight, None, conv.stride, conv.padding)
        start = 0
        for name in conv.parts:
            out = inception.SHAPES[name][0]
            # the folded weight has the scale in it already
            scale = weights[f"{name}.bn.weight"]
            seen = bare[:, start : start + out].transpose(0, 1).flatten(1) / scale[:, None]
            weights[f"{name}.bn.running_mean"] = seen.mean(1)
            weights[f"{name}.bn.running_var"] = seen.var(1)
            weight, bias = inception.fold(weights, name)
            conv.weight.data[start : start + out] = weight
            conv.bias.data[start : start + out] = bias
            start += out

    for module in net.modules():
        if isinstance(module, inception.Conv):
            module.register_forward_pre_hook(calibrate)
    sizes = torch.rand(4, 1, 1, 1, generator=generator)
    coarse = F.interpolate(normal(4, 3, 20, 20), (299, 299), mode="bilinear")
    with torch.inference_mode():
        net((coarse * sizes + 0.2 * normal(4, 3, 299, 299)).clamp(-1, 1))
    return {name: tensor.clone() for name, tensor in weights.items()}
