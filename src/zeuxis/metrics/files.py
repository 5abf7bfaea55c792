"""Statistics files, our own and those of other tools: a set's feature statistics on disk.

| file | who writes it | what is in it |
|---|---|---|
| `.npz` with `mu`, `sigma` | pytorch-fid, clean-fid | mean and covariance (divisor N - 1), not N |
| `.npz` with `feats` | clean-fid, for its kernel distance | features |
| `.pkl` | StyleGAN2-ada, StyleGAN3 (`FeatureStats`) | sums of f and f f^T, N, perhaps features |
| `.safetensors` | this library (`Accumulator.save`) | features by layer, image statistics, receipts |

Pickles can run code: `zeuxis.metrics.pickled` reads those of numbers without running any.

Shapes: N images, D features.
"""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zeuxis.core import npz
from zeuxis.core.errors import Invalid
from zeuxis.core.files import write_file
from zeuxis.core.words import printable
from zeuxis.features import Features
from zeuxis.metrics import accumulator, pickled
from zeuxis.metrics.moments import Moments

SUFFIXES = (".npz", ".pkl", ".safetensors")
FOREIGN = {"features": "not said by the file"}
"""Receipt of a file that does not say how its features were made."""
LARGEST = 4 << 30
"""Bytes of a `.pkl`; 50,000 images of 2,048 features take a tenth."""


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
        found = npz.names(path)
    except ValueError:
        return False
    return {"mu", "sigma"} <= found or "feats" in found


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
        receipts, held = accumulator.read(path)
        tap = tap or next(iter(receipts))
        if tap not in receipts:
            raise Invalid(f"{path} has no layer {tap!r}; it holds {printable(', '.join(receipts))}")
        return _features(path, held[f"features.{tap}"], receipts[tap])
    if path.suffix == ".npz":
        return _from_npz(path, npz.read(path))
    return from_feature_stats(path, _unpickled(path))


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


def _from_npz(path: Path, held: Mapping[str, np.ndarray]) -> Features | Moments:
    if "feats" in held:
        return _features(path, held["feats"], {**FOREIGN, "file": "clean-fid"})
    if not {"mu", "sigma"} <= set(held):
        raise Invalid(
            f"{path} holds {', '.join(held) or 'nothing'}; a statistics file holds mu and sigma, or feats"
        )
    return _moments(path, held["mu"], held["sigma"], None)


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise Invalid(f"it has more than {LARGEST >> 30} GiB")
        return pickled.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{path} cannot be read as a FeatureStats of StyleGAN ({printable(str(error))[:200]}); "
            "have that tool write it anew, or save its features as `feats` in an .npz"
        ) from error


def from_feature_stats(path: Path, state: Mapping[str, Any]) -> Features | Moments:
    """What StyleGAN's `FeatureStats` holds: features, else the moments of its sums.

    Raises:
        ValueError: it holds neither, or they do not fit together; the message names `path`.
    """
    parts, n = state.get("all_features"), state.get("num_items")
    if isinstance(parts, np.ndarray) or parts:
        rows = parts if isinstance(parts, list) else [parts]
        if len({np.shape(each)[1:] for each in rows}) != 1 or np.ndim(rows[0]) != 2:
            raise Invalid(f"{path}: the shapes of its features differ; expected (N, D) of one D")
        return _features(path, np.concatenate(rows), {**FOREIGN, "file": "StyleGAN"})
    mean, products = state.get("raw_mean"), state.get("raw_cov")
    arrays = isinstance(mean, np.ndarray) and isinstance(products, np.ndarray)
    if not arrays or type(n) is not int or not 2 <= n < 1 << 53:
        raise Invalid(f"{path} holds neither features nor the sums of at least 2 images")
    mean_D, products_DD = (np.asarray(x, np.float64) / n for x in (mean, products))
    if mean_D.ndim == 1 and products_DD.shape == (len(mean_D), len(mean_D)):
        with np.errstate(all="ignore"):  # what is beyond float64 is refused below
            products_DD = (products_DD - np.outer(mean_D, mean_D)) * (n / (n - 1))
    return _moments(path, mean_D, products_DD, n)


def _features(path: Path, array: np.ndarray, receipt: Mapping[str, Any]) -> Features:
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise Invalid(
            f"{path}: its features are {array.dtype} of shape {array.shape}; expected numbers (N, D)"
        )
    with np.errstate(all="ignore"):  # what is no float32 is refused below
        x_ND = np.asarray(array, np.float32)
    if not np.isfinite(x_ND).all():
        raise Invalid(f"{path} holds features that are NaN or infinite: compute it anew")
    return Features(x_ND, receipt)


def _moments(path: Path, mean: np.ndarray, covariance: np.ndarray, n: int | None) -> Moments:
    d = len(mean) if mean.ndim == 1 else 0
    fits = d and covariance.shape == (d, d)
    if not fits or mean.dtype.kind not in "fiu" or covariance.dtype.kind not in "fiu":
        raise Invalid(
            f"{path}: the mean is {mean.dtype} {mean.shape} and the covariance {covariance.dtype} "
            f"{covariance.shape}; expected (D,) and (D, D), numbers"
        )
    with np.errstate(all="ignore"):
        mean_D, covariance_DD = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if not (np.isfinite(mean_D).all() and np.isfinite(covariance_DD).all()):
        raise Invalid(f"{path} holds NaN or infinity: compute it anew")
    return Moments(n, mean_D, covariance_DD, FOREIGN)
