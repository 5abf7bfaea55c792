"""Files of tensors that may be a stranger's: their header comes first, and it bounds what is made."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zeuxis.core.errors import Invalid
from zeuxis.core.files import damaged

LONGEST_HEADER = 16 << 20
"""Bytes: a hundred thousand tensors; the largest model here has a few hundred."""
MANIFOLD = 8
"""How often a model may hold what its file holds: what only training needs is built, but not saved."""
NUMBERS, TENSORS = 1 << 26, 1024
"""What any file may build beside that: 256 MiB, made in a second."""
DTYPES = {torch.bool: "BOOL", torch.uint8: "U8", torch.int32: "I32", torch.int64: "I64"}
MAKERS = {
    *(torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.eye),
    *(torch.arange, torch.linspace, torch.randint, torch.randperm, Tensor.repeat),
}


class Kind(NamedTuple):
    """Shape and number format of a tensor in a file."""

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, tensor: Tensor) -> "Kind":
        """How a tensor of a model is saved: fractions as float32, whatever they were."""
        floating = tensor.is_floating_point()
        return cls(tuple(tensor.shape), "F32" if floating else DTYPES.get(tensor.dtype, "?"))

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@contextlib.contextmanager
def opened(path: Path, framework: str) -> Iterator[Any]:
    """A safetensors file whose header is no larger than is sensible.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            raise Invalid(damaged(path))
        with safetensors.safe_open(path, framework) as tensors:
            yield tensors
    except (safetensors.SafetensorError, OSError) as error:
        raise Invalid(damaged(path)) from error


def header(path: Path) -> dict[str, Kind]:
    """Kinds by name, without reading a tensor.

    Raises:
        ValueError: the file is damaged.
    """
    with opened(path, "pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return {name: Kind(tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ValueError: the file is damaged.
    """
    with opened(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict


def fill(
    model: torch.nn.Module,
    path: Path,
    found: Mapping[str, Kind],
    names: set[str],
    renamed: Callable[[torch.nn.Module, Mapping[str, Tensor]], dict[str, Tensor]],
) -> None:
    """Load the file whose header is `found` into the tensors of `model` called `names`.

    What has other names may be of an earlier version: `renamed` gives it those of today.

    Raises:
        ValueError: they are not the file's, or a number of it is not finite; the message names one.
    """
    says = f"{path.parent}: the weights do not fit the config"
    tensors = None
    if names != found.keys():
        tensors = renamed(model, read(path))
        found = {name: found.get(name) or Kind.of(each) for name, each in tensors.items()}
    if odd := sorted(names ^ found.keys())[:3]:
        raise Invalid(f"{says}; differing: {[name[:80] for name in odd]}")
    state = model.state_dict()
    for name, kind in found.items():
        if kind != (expected := Kind.of(state[name])):
            raise Invalid(f"{says}; {name} is {kind}, expected {expected}")
    tensors = tensors or read(path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise Invalid(f"{path}: {name} holds NaN or infinity; get the model again")
    model.load_state_dict(tensors, strict=False)


class Budget(TorchFunctionMode):
    """While it is entered, no more tensors are made than a file of such a header gives reason for.

    A config is data: what it asks for is refused before memory is taken.
    """

    def __init__(self, found: Mapping[str, Kind]) -> None:
        super().__init__()
        self.numbers = NUMBERS + MANIFOLD * sum(math.prod(kind.shape) for kind in found.values())
        self.tensors = TENSORS + MANIFOLD * len(found)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count what `func` makes, then call it."""
        kwargs = kwargs or {}
        if func in MAKERS:
            self.tensors -= 1
            self.numbers -= _asked(func, args, kwargs)
            if self.tensors < 0 or self.numbers < 0:
                raise Invalid("its config asks for a far larger model than its weights are")
        return func(*args, **kwargs)


def _asked(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """At most how many numbers a call makes."""
    numbers, sizes = 1, 0
    for given in (*args, *kwargs.values()):
        if isinstance(given, Tensor):
            numbers *= given.numel()
        for size in given if isinstance(given, tuple | list) else (given,):
            if isinstance(size, int) and not isinstance(size, bool):
                numbers, sizes = numbers * max(1, size), sizes + 1
    return numbers**2 if func is torch.eye and sizes == 1 else numbers
