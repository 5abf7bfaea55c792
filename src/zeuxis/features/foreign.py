"""Foreign networks: any module, function or ONNX file that turns images into vectors.

They are given RGB images of `size` x `size`, stretched with an antialiased bilinear filter, as
float32 levels / 127.5 - 1 in [-1, 1]; a network that wants them otherwise is wrapped by its owner.

Shapes: B batch, H height, W width, C channels, D features.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.files import sha256
from zeuxis.core.words import printable
from zeuxis.features.efficientnet import prepare
from zeuxis.features.extraction import Extractor, Precision, tensors_sha256

SIZE, LARGEST = 224, 2048
OLDEST = (1, 25)
"""The first onnxruntime that keeps a graph's external data within its folder, links resolved
(its pull requests 26776, 27430 and 27539)."""
NOISE = r"^\[ONNXRuntimeError\] : \d+ : \w+ : |\S+\.cc:\d+ \S+ "
"""Codes and lines of its source in what onnxruntime says."""


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
        ValueError: onnxruntime or the file is missing, or it is damaged, reads files outside of its
            folder, or has another input.
    """
    session = open_onnx(path)
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    if len(inputs) != 1 or len(shape) != 4 or shape[1] not in (3, None):
        taken = printable(", ".join(f"{one.name} {one.shape}" for one in inputs))[:200]
        raise Invalid(f"{path} takes {taken or 'nothing'}; expected one input (B, 3, H, W)")
    own = shape[2] if isinstance(shape[2], int) else SIZE
    side = own if size is None else size
    if not 1 <= side <= LARGEST:
        raise Invalid(f"{path} takes images of side {side}; expected 1 to {LARGEST}")

    def look(x_BCHW: Tensor) -> Tensor:
        with _sentences(path):
            found = session.run(None, {inputs[0].name: x_BCHW.numpy()})[0]
        return torch.from_numpy(np.asarray(found, np.float32))

    return _extractor(path.name, sha256(path), look, side, "float32")


def open_onnx(path: Path, threads: int = 0) -> Any:
    """An `onnxruntime.InferenceSession` of a file, on the CPU.

    Args:
        path: of the graph.
        threads: that it runs on; 0: one a core.

    Raises:
        ValueError: onnxruntime or the file is missing, or it is damaged or reads files outside of its folder.
    """
    if util.find_spec("onnxruntime") is None:
        raise Invalid(f"{path} needs the package onnxruntime: pip install onnxruntime")
    if not path.is_file():
        raise NotFound(f"there is no ONNX file {path}")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # its import writes a device id into HOME
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < OLDEST:
        raise Invalid(
            f"onnxruntime {onnxruntime.__version__} lets a graph read any file of the machine; "
            "pip install --upgrade onnxruntime"
        )
    with _sentences(path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # its log on stderr is raw, and says no more than its errors
        return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """What onnxruntime raises, none of it a usual error, as one sentence."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    errors: list[type[Exception]] = [RuntimeError, ValueError, TypeError]
    errors += [e for e in vars(state).values() if isinstance(e, type) and issubclass(e, Exception)]
    try:
        yield
    except tuple(errors) as error:
        why = re.sub(NOISE, "", str(error).split("\n")[0])
        raise Invalid(
            f"{path} cannot be run by onnxruntime ({printable(why)[:200]}); "
            "export the network again, its weights in the file or beside it"
        ) from error


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
            raise Invalid(f"{name} made {given} of {len(x_BCHW)} images; expected a tensor (B, D)")
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
