"""Tensors from a weights file of any common kind, without running code that it holds.

A .safetensors file is data. A PyTorch file is read with `weights_only=True`. A TorchScript archive
is a zip file with the modules' attributes as a pickle and the program as text; here only the
attributes are read, by an unpickler that knows nothing but modules, tensors and plain values
(the layout: PyTorch's torch/csrc/jit/docs/serialization.md).
"""

import io
import itertools
import pickle
import pickletools
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from zeuxis.core import npz
from zeuxis.core.errors import Invalid, NotFound

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}

DAMAGE = (
    *npz.DAMAGE,
    *(safetensors.SafetensorError, pickle.UnpicklingError),
    *(AttributeError, IndexError, AssertionError),
)
"""What zipfile, pickle and torch raise for files that are damaged or of another kind."""
MOST_MODULES, REPEATED = 100_000, 4
"""Modules of an archive, and times its size that its tensors may take: some share their numbers."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Named tensors of a .safetensors file, a PyTorch state dict or a TorchScript archive.

    Raises:
        ValueError: the file is missing or of none of these kinds.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if _is_torchscript(path):
            return _read_torchscript(path)
        with warnings.catch_warnings(action="ignore"):  # torch warns of what it then refuses
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise NotFound(f"there is no weights file {path}") from error
    except DAMAGE as error:
        raise Invalid(
            f"{path} cannot be read as weights ({type(error).__name__}); expected .safetensors, a "
            "PyTorch state dict or a TorchScript archive"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise Invalid(f"{path} is no dictionary of tensors; save the module's state_dict()")
    return dict(found)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


class _Module:
    """A TorchScript module: its attributes, whatever its class."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str, limit: int) -> None:
        content = archive.read(_stored(archive, f"{root}/data.pkl"))
        for opcode, index, _ in pickletools.genops(content):
            if opcode.name == "LONG_BINPUT" and (index or 0) > len(content):
                raise pickle.UnpicklingError("its memo would fill the memory")
        super().__init__(io.BytesIO(content))
        self.archive, self.root, self.left = archive, root, limit

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) in known:
            return known[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is neither a module nor a tensor")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, _ = pid
        content = self.archive.read(_stored(self.archive, f"{self.root}/data/{key}"))
        self.spend(len(content))
        return torch.frombuffer(bytearray(content), dtype=dtype)

    def tensor(
        self, storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
    ) -> Tensor:
        view = storage.as_strided(size, stride, offset)
        self.spend(view.nbytes)
        return view.clone()

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise pickle.UnpicklingError("its tensors would take many times the size of the file")


def _stored(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """A member that is as large as it says: torch packs nothing."""
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise pickle.UnpicklingError(f"{name} is packed")
    return member


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        (root,) = {name.split("/")[0] for name in archive.namelist() if name.endswith("/data.pkl")}
        module = _Unpickler(archive, root, 2 * REPEATED * path.stat().st_size).load()
    return dict(_walk(module, "", itertools.count()))


def _walk(
    module: _Module, prefix: str, visited: "itertools.count[int]"
) -> Iterator[tuple[str, Tensor]]:
    if next(visited) == MOST_MODULES:  # modules may hold each other again and again
        raise pickle.UnpicklingError(f"it has more than {MOST_MODULES:,} modules")
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _walk(value, f"{prefix}{name}.", visited)
