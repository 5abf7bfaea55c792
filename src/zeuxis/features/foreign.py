"""Foreign networks: any module, function or ONNX file that turns images into vectors.

They are given RGB images of `size` x `size`, stretched with an antialiased bilinear filter, as
float32 levels / 127.5 - 1 in [-1, 1]; a network that wants them otherwise is wrapped by its owner.

Shapes: B batch, H height, W width, C channels, D features.
"""

from collections.abc import Callable, Mapping
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeuxis.disk import sha256
from zeuxis.features.efficientnet import prepare
from zeuxis.features.extraction import Extractor, Precision, tensors_sha256

SIZE = 224


def of_module(
    network: nn.Module | Callable[[Tensor], Tensor],
    size: int | None = None,
    precision: Precision = "float32",
) -> Extractor:
    """An extractor of a module or function; a module is used in its evaluation mode.

    Its receipt holds the SHA-256 of the module's state dict. A bare function has none: there, only
    its name tells two apart.

    Args:
        network: maps (B, 3, size, size) float32 in [-1, 1] to (B, D).
        size: side of its input; default 224.
        precision: bfloat16 runs it under autocast.
    """
    side = SIZE if size is None else size
    device, digest = torch.device("cpu"), "none"
    if isinstance(network, nn.Module):
        network.eval()
        state = network.state_dict()
        device = next((tensor.device for tensor in state.values()), device)
        digest = tensors_sha256(state)
    kind = type(network) if isinstance(network, nn.Module) else network
    name = getattr(kind, "__qualname__", type(kind).__qualname__)
    return _extractor(name, digest, lambda x_BCHW: network(x_BCHW.to(device)), side, precision)


def of_onnx(path: Path, size: int | None = None) -> Extractor:
    """An extractor of an ONNX file, run on the CPU by the package onnxruntime.

    Args:
        path: a graph with one input (B, 3, H, W) float32; its first output is (B, D).
        size: side of the input; default what the graph says, else 224.

    Raises:
        ValueError: onnxruntime or the file is missing, or the graph has another input.
    """
    if util.find_spec("onnxruntime") is None:
        raise ValueError(f"{path} needs the package onnxruntime: pip install onnxruntime")
    if not path.exists():
        raise ValueError(f"there is no ONNX file {path}")
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or shape[1] not in (3, None):
        raise ValueError(
            f"{path} takes {', '.join(f'{one.name} {one.shape}' for one in inputs)}; "
            "expected one input (B, 3, H, W)"
        )
    own = shape[2] if isinstance(shape[2], int) else SIZE

    def look(x_BCHW: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(session.run(None, {inputs[0].name: x_BCHW.numpy()})[0]))

    return _extractor(path.name, sha256(path), look, own if size is None else size, "float32")


def _extractor(
    name: str,
    digest: str,
    look: Callable[[Tensor], Any],
    side: int,
    precision: Precision,
) -> Extractor:
    def net(x_BCHW: Tensor) -> Mapping[str, Tensor]:
        found = look(x_BCHW)
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(x_BCHW):
            given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"{name} made {given} of {len(x_BCHW)} images; expected a tensor (B, D)"
            )
        return {"output": found}

    return Extractor(
        network=name,
        weights_sha256=digest,
        layers={"output": "output"},
        input=f"{side}x{side}, stretched, bilinear, antialiased; level / 127.5 - 1",
        prepare=lambda pixels_BHWC: prepare(pixels_BHWC, side).contiguous() / 127.5 - 1,
        net=net,
        precision=precision,
    )
