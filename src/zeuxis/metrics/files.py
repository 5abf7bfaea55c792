"""Statistics files of other tools, and our own: what a set of images is to a distance, on disk.

| file | who writes it | what is in it |
|---|---|---|
| `.npz` with `mu`, `sigma` | pytorch-fid, clean-fid | mean and covariance (divisor N - 1), not N |
| `.npz` with `feats` | clean-fid, for its kernel distance | features |
| `.pkl` | StyleGAN2-ada, StyleGAN3 (`FeatureStats`) | sums of f and f f^T, N, perhaps features |
| `.safetensors` | this library (`Accumulator.save`) | features by layer, image statistics, receipts |

Pickles can run code. This reader lets them build numpy arrays and nothing else.

Shapes: N images, D features.
"""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from zeuxis.disk import write_file
from zeuxis.features import Features
from zeuxis.metrics import accumulator
from zeuxis.metrics.moments import Moments

SUFFIXES = (".npz", ".pkl", ".safetensors")
FOREIGN = {"features": "not said by the file"}
"""Receipt of a file that does not say how its features were made."""
ALLOWED = {  # what a pickle of numbers and arrays asks for
    (module, name)
    for package in ("numpy.core", "numpy._core")
    for module, name in (
        (f"{package}.multiarray", "_reconstruct"),
        (f"{package}.multiarray", "scalar"),
        (f"{package}.numeric", "_frombuffer"),
    )
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


def is_statistics(path: str | Path) -> bool:
    """Whether a path is a statistics file: by its suffix, and for npz (which may hold images) by its keys.

    >>> is_statistics("photos/")
    False
    """
    path = Path(path)
    if path.suffix not in SUFFIXES or not path.is_file():
        return False
    if path.suffix != ".npz":
        return True
    try:
        with np.load(path) as arrays:
            return {"mu", "sigma"} <= set(arrays.files) or "feats" in arrays.files
    except (OSError, ValueError):
        return False


def read_statistics(path: str | Path, tap: str | None = None) -> Features | Moments:
    """Features where the file holds them, else their mean and covariance.

    Args:
        path: see the table above.
        tap: which layer of our own file; default its first.

    Raises:
        ValueError: it is none of these, it is damaged, or what it holds does not fit together.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        receipts, tensors = accumulator.read(path)
        tap = tap or next(iter(receipts))
        if tap not in receipts:
            raise ValueError(f"{path} has no layer {tap!r}; it holds {', '.join(receipts)}")
        return Features(tensors[f"features.{tap}"], receipts[tap])
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                held: Mapping[str, Any] = {name: arrays[name] for name in arrays.files}
            return _from_npz(path, held)
        with path.open("rb") as file:
            return _from_stylegan(path, _Numbers(file).load())
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} cannot be read as statistics: {error}") from error


def write_pytorch_fid(path: str | Path, moments: Moments) -> None:
    """`mu` and `sigma` as pytorch-fid and clean-fid read them: float64."""
    _write_npz(Path(path), mu=moments.mean_D, sigma=moments.covariance_DD)


def write_clean_fid_kernel(path: str | Path, features: Features) -> None:
    """`feats` as clean-fid reads them for its kernel distance."""
    _write_npz(Path(path), feats=features.array)


def write_stylegan(path: str | Path, features: Features) -> None:
    """A `FeatureStats` file of StyleGAN2-ada and StyleGAN3, features included."""
    x_ND = features.array.astype(np.float64)
    state = {
        "capture_all": True,
        "capture_mean_cov": True,
        "max_items": None,
        "num_items": len(x_ND),
        "num_features": x_ND.shape[1],
        "all_features": [features.array],
        "raw_mean": x_ND.sum(0),
        "raw_cov": x_ND.T @ x_ND,
    }
    write_file(Path(path), lambda beside: beside.write_bytes(pickle.dumps(state)))


def _write_npz(path: Path, **arrays: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_file(path, lambda beside: beside.write_bytes(buffer.getvalue()))


def _from_npz(path: Path, held: Mapping[str, Any]) -> Features | Moments:
    if "feats" in held:
        return Features(np.asarray(held["feats"], np.float32), {**FOREIGN, "file": "clean-fid"})
    if not {"mu", "sigma"} <= set(held):
        raise ValueError(
            f"{path} holds {', '.join(held) or 'nothing'}; a statistics file holds mu and sigma, or feats"
        )
    mean_D, covariance_DD = (np.asarray(held[name], np.float64) for name in ("mu", "sigma"))
    return _checked(path, mean_D, covariance_DD, None)


def _from_stylegan(path: Path, state: Any) -> Features | Moments:
    if not isinstance(state, dict) or "num_items" not in state:
        raise ValueError(f"{path} is a pickle, but no FeatureStats of StyleGAN")
    parts = state.get("all_features")
    if parts is not None and len(parts):
        array = np.concatenate(list(parts)) if isinstance(parts, list) else np.asarray(parts)
        return Features(array.astype(np.float32), {**FOREIGN, "file": "StyleGAN"})
    n = int(state["num_items"])
    if state.get("raw_mean") is None or state.get("raw_cov") is None or n < 2:
        raise ValueError(f"{path} holds neither features nor the sums of at least 2 images")
    mean_D = np.asarray(state["raw_mean"], np.float64) / n
    spread = np.asarray(state["raw_cov"], np.float64) / n - np.outer(mean_D, mean_D)
    return _checked(path, mean_D, spread * (n / (n - 1)), n)


def _checked(path: Path, mean_D: np.ndarray, covariance_DD: np.ndarray, n: int | None) -> Moments:
    d = len(mean_D)
    if mean_D.ndim != 1 or covariance_DD.shape != (d, d):
        raise ValueError(
            f"{path}: the mean has shape {mean_D.shape} and the covariance {covariance_DD.shape}; "
            "expected (D,) and (D, D)"
        )
    if not (np.isfinite(mean_D).all() and np.isfinite(covariance_DD).all()):
        raise ValueError(f"{path} holds NaN or infinity: compute it anew")
    return Moments(n, mean_D, covariance_DD, FOREIGN)


class _Numbers(pickle.Unpickler):
    """Builds numbers, lists, dictionaries and numpy arrays; refuses every other name."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        """Only what `ALLOWED` lists."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}, which is not opened")
        return super().find_class(module, name)
