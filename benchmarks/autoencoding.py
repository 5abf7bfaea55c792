"""What trained autoencoders reach on the hold-out side of their data.

    python -m benchmarks.autoencoding codec RUN PREPARED [--record]
    python -m benchmarks.autoencoding denoise RUN PREPARED [--record]
    python -m benchmarks.autoencoding probe RUN PREPARED [--record]
    python -m benchmarks.autoencoding tokens RUN PREPARED [--record]

codec: PSNR of images that went through packed bytes (the bits of the latent's numbers, no header: the
model knows the shapes) against JPEG and WebP at no more bytes an image, the decoder's network not
counted. Three ways to count a classic codec's bytes: `file`, a file for each image; `payload`, the same
without its headers and tables (JPEG: what follows the scan header; WebP: less 30 bytes, the RIFF, VP8
and frame headers); `sheet`, all images side by side in one file, which shares one header and may
spend more on difficult images. Each image takes the best quality that fits, a sheet the same for all;
an image that no quality fits counts as its mean grey.

denoise: Gaussian noise of deviation 25 of 255 is added and not clipped. Peers are scikit-image's TV
(Chambolle) and non-local means, the strength chosen on images at the end of the training side. All
results are rounded to 8 bits.

probe: accuracy of logistic regression on the latent and on the pixels, both standardised, fitted by LBFGS
with the penalty chosen on the end of the training side.

tokens: PSNR of images decoded from their tokens; which codes occur, which occur at least a hundredth as
often as an equal share, and the perplexity.

PSNR is 10 log10(255^2 / MSE), averaged over images; `pooled` has the MSE averaged first.
"""

import argparse
import importlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks.likelihood import psnr
from benchmarks.row import write_row
from zeuxis.core import machine
from zeuxis.core.abilities import Tokenizes
from zeuxis.core.pixels import from_uint8, to_array, to_pil, to_tensor, to_uint8
from zeuxis.data import open_prepared
from zeuxis.data.prepared import Prepared
from zeuxis.inference.model import Model, load
from zeuxis.nn.quantise import perplexity, usage

DEVIATION = 25
CHOSEN_ON = 5000
"""Images at the end of the training side on which peers' and probes' settings are chosen."""
TUNED_ON = 300
"""Of these, for the slow denoisers."""
COLUMNS = 100
WEBP_HEADERS = 30


def figures(images_NHWC: np.ndarray, out_NHWC: np.ndarray) -> dict[str, float]:
    """Mean PSNR over images, and pooled."""
    squared = (images_NHWC.astype(np.float64) - out_NHWC) ** 2
    pooled = 10 * np.log10(255**2 / max(squared.mean(), 1e-12))
    return {
        "psnr_db": round(float(psnr(images_NHWC, out_NHWC).mean()), 2),
        "pooled_db": round(float(pooled), 2),
    }


def pack(code_NZ: np.ndarray, bits: list[int]) -> list[bytes]:
    """Whole numbers, each of its own count of bits, as one string of bytes a row."""
    place = np.arange(max(bits))[::-1]
    planes = (code_NZ[..., None] >> place) & 1
    kept = planes[:, place < np.array(bits)[:, None]]
    return [row.tobytes() for row in np.packbits(kept.astype(np.uint8), axis=1)]


def unpack(content: list[bytes], bits: list[int]) -> np.ndarray:
    """Inverse of `pack`."""
    rows = np.stack([np.frombuffer(row, np.uint8) for row in content])
    place = np.arange(max(bits))[::-1]
    planes = np.zeros((len(rows), len(bits), len(place)), np.int64)
    planes[:, place < np.array(bits)[:, None]] = np.unpackbits(rows, axis=1)[:, : sum(bits)]
    return planes @ (1 << place)


def through_bytes(model: Model, images_NHWC: np.ndarray) -> tuple[np.ndarray, int]:
    """Images after the latent's bytes, and how many bytes each took."""
    family: Any = model.family
    latent = torch.from_numpy(model.encode(images_NHWC).latents)
    code = family.codes(latent).flatten(1).numpy()
    bits = family.config.number_bits()
    again = unpack(content := pack(code, bits), bits)
    decoded = family.from_codes(torch.from_numpy(again).view(latent.shape))
    return model.decode(decoded.numpy()).images, len(content[0])


def squeeze(pixels_HWC: np.ndarray, kind: str, quality: int) -> tuple[bytes, np.ndarray]:
    """A file of one image, and what it decodes to."""
    file, picture = io.BytesIO(), to_pil(pixels_HWC)
    settings: dict[str, Any] = {"optimize": True} if kind == "JPEG" else {"method": 6}
    picture.save(file, kind, quality=quality, **settings)
    again = np.asarray(Image.open(file).convert(picture.mode)).reshape(pixels_HWC.shape)
    return file.getvalue(), again


def payload(content: bytes, kind: str) -> int:
    """Bytes without headers and tables."""
    if kind == "WEBP":
        return len(content) - WEBP_HEADERS
    scan = content.index(b"\xff\xda")
    return len(content) - scan - 2 - int.from_bytes(content[scan + 2 : scan + 4], "big") - 2


def best_fit(
    pixels_HWC: np.ndarray, kind: str, most: int, size: Callable[[bytes, str], int]
) -> Any:
    """The decoded image of the best quality that fits, by bisection; None if none does."""
    low, high, found = 0 if kind == "WEBP" else 1, 100, None
    while low <= high:
        middle = (low + high) // 2
        content, again = squeeze(pixels_HWC, kind, middle)
        if size(content, kind) <= most:
            found, low = again, middle + 1
        else:
            high = middle - 1
    return found


def classic_each(images_NHWC: np.ndarray, kind: str, most: int, way: str) -> dict[str, Any]:
    """Each image by itself."""
    size = payload if way == "payload" else lambda content, _: len(content)
    grey = images_NHWC.mean(axis=(1, 2), keepdims=True)
    out, missed = np.broadcast_to(grey.round(), images_NHWC.shape).astype(np.uint8), 0
    for i, image in enumerate(images_NHWC):
        again = best_fit(image, kind, most, size)
        missed += again is None
        out[i] = out[i] if again is None else again
    return {**figures(images_NHWC, out), "no_quality_fits": round(missed / len(out), 4)}


def classic_sheet(images_NHWC: np.ndarray, kind: str, most: int) -> dict[str, Any]:
    """All images on sheets of `COLUMNS` by up to `COLUMNS`, one quality for all."""
    n, h, w, c = images_NHWC.shape
    rows = n // COLUMNS
    kept = images_NHWC[: rows * COLUMNS]
    sheet = kept.reshape(rows, COLUMNS, h, w, c).transpose(0, 2, 1, 3, 4)
    sheet = np.ascontiguousarray(sheet.reshape(rows * h, COLUMNS * w, c))
    again = best_fit(sheet, kind, most * len(kept), lambda content, _: len(content))
    if again is None:
        return {"psnr_db": None}
    out = again.reshape(rows, h, COLUMNS, w, c).transpose(0, 2, 1, 3, 4).reshape(kept.shape)
    return figures(kept, out)


def codec(model: Model, prepared: Prepared) -> dict[str, Any]:
    """The latent's bytes against JPEG and WebP at no more bytes."""
    images = prepared.images[prepared.holdout]
    out, size = through_bytes(model, images)
    row: dict[str, Any] = {
        "n": len(images),
        "bytes_per_image": size,
        "compression": round(images[0].nbytes / size, 2),
        **figures(images, out),
    }
    for kind in ("JPEG", "WEBP"):
        for way in ("file", "payload"):
            row[f"{kind.lower()}_{way}"] = classic_each(images, kind, size, way)
        row[f"{kind.lower()}_sheet"] = classic_sheet(images, kind, size)
    return row


def denoise(model: Model, prepared: Prepared) -> dict[str, Any]:
    """The family's `denoise` against the better of two classics."""
    images = prepared.images[prepared.holdout]
    tuning = prepared.images[prepared.train[-CHOSEN_ON:][:TUNED_ON]]
    noisy, noisy_tuning = add_noise(images, 0), add_noise(tuning, 1)
    peers, row = classic_denoisers(images.shape[-1]), dict[str, Any]()
    for name, settings in peers.items():
        scores = [
            psnr(tuning, eight_bits(np.stack([call(x) for x in noisy_tuning]))).mean()
            for call in settings.values()
        ]
        chosen = list(settings)[int(np.argmax(scores))]
        out = eight_bits(np.stack([settings[chosen](x) for x in noisy]))
        row[name] = {**figures(images, out), "setting": chosen}
    ours = figures(images, restored(model, noisy))
    best = max(row[name]["psnr_db"] for name in peers)
    return {
        "n": len(images),
        "deviation": DEVIATION,
        "noisy": figures(images, eight_bits(noisy)),
        **ours,
        "ahead_db": round(ours["psnr_db"] - best, 2),
        **row,
    }


def add_noise(images_NHWC: np.ndarray, seed: int) -> np.ndarray:
    """Noisy images in units of [0, 1], not clipped, float32."""
    noise = np.random.default_rng(seed).standard_normal(images_NHWC.shape, np.float32)
    return images_NHWC / np.float32(255) + noise * np.float32(DEVIATION / 255)


def eight_bits(image_NHWC: np.ndarray) -> np.ndarray:
    """[0, 1] to uint8, clipped."""
    return np.clip(np.round(image_NHWC * 255), 0, 255).astype(np.uint8)


def classic_denoisers(channels: int) -> dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]]:
    """Each classic's settings and what they do to one image (H, W, C)."""
    try:
        restoration = importlib.import_module("skimage.restoration")
    except ImportError as error:
        raise SystemExit(
            "scikit-image is needed: pip install scikit-image into a folder on PYTHONPATH"
        ) from error
    deviation = DEVIATION / 255

    def tv(weight: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: restoration.denoise_tv_chambolle(x, weight=weight, channel_axis=-1)

    def means(patch: int, distance: int, h: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: restoration.denoise_nl_means(
            x,
            patch_size=patch,
            patch_distance=distance,
            h=h * deviation,
            sigma=deviation,
            channel_axis=-1,
        ).reshape(x.shape)

    return {
        "tv": {f"weight {w}": tv(w) for w in (0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12)},
        "nl_means": {
            f"patch {patch}, distance {distance}, h {h} sigma": means(patch, distance, h)
            for patch in (3, 5, 7)
            for distance in (7, 11)
            for h in (0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
        },
    }


def restored(model: Model, noisy_NHWC: np.ndarray) -> np.ndarray:
    """The family's answer, uint8."""
    family: Any = model.family
    parts = []
    for part in torch.from_numpy(noisy_NHWC).split(250):
        image = part.permute(0, 3, 1, 2).to(model.device) * 2 - 1
        deviation = torch.full((len(part),), DEVIATION / 127.5, device=model.device)
        with torch.inference_mode(), machine.arithmetic(model.device, model.precision):
            parts.append(to_uint8(family.denoise(image, deviation)).cpu())
    return to_array(torch.cat(parts))


def probe(model: Model, prepared: Prepared) -> dict[str, Any]:
    """Accuracy of logistic regression on latents and on pixels."""
    condition = prepared.conditions[0]
    label = torch.from_numpy(prepared.labels[:, 0])
    train, test = prepared.train, prepared.holdout
    row: dict[str, Any] = {"n": len(test), "condition": condition.name}
    pixels = from_uint8(to_tensor(np.array(prepared.images))).flatten(1)
    latents = torch.from_numpy(model.encode(np.array(prepared.images)).latents).flatten(1)
    row["numbers"] = latents.shape[1]
    classes = len(condition.classes)
    for name, x in (("latent", latents), ("pixels", pixels)):
        x = (x - x[train].mean(0)) / x[train].std(0).clamp(min=1e-3)
        early, late = train[:-CHOSEN_ON], train[-CHOSEN_ON:]
        scores = {}
        for penalty in (1e-5, 1e-4, 1e-3):
            weight = logistic(x[early], label[early], classes, penalty)
            scores[penalty] = accuracy(x[late], label[late], weight)
        penalty = max(scores, key=lambda p: scores[p])
        weight = logistic(x[train], label[train], classes, penalty)
        row[f"{name}_accuracy"] = round(accuracy(x[test], label[test], weight), 4)
        row[f"{name}_penalty"] = penalty
    return row


def tokens(model: Model, prepared: Prepared) -> dict[str, Any]:
    """A tokenizer's reconstructions and its use of its codes."""
    images_NHWC = np.array(prepared.images[prepared.holdout])
    token_NHW = model.encode(images_NHWC).latents
    codes = cast(Tokenizes, model.family).vocabulary
    counts_K = np.bincount(token_NHW.ravel(), minlength=codes)
    share_K = torch.from_numpy(counts_K / token_NHW.size)
    return {
        "n": len(images_NHWC),
        "tokens": list(token_NHW.shape[1:]),
        "codes": codes,
        "occur": round(usage(share_K, 0.0).item(), 4),
        "used": round(usage(share_K).item(), 4),
        "perplexity": round(perplexity(share_K).item(), 2),
        **figures(images_NHWC, model.decode(token_NHW).images),
    }


def logistic(x_NF: Tensor, label_N: Tensor, classes: int, penalty: float) -> Tensor:
    """Weights (F + 1, classes) of the smallest cross entropy plus `penalty` |weights|^2."""
    weight = torch.zeros(x_NF.shape[1] + 1, classes, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight], max_iter=300, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = x_NF @ weight[:-1] + weight[-1]
        loss = F.cross_entropy(logits, label_N) + penalty * weight[:-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weight.detach()


def accuracy(x_NF: Tensor, label_N: Tensor, weight: Tensor) -> float:
    """Share of rows whose largest logit is the label's."""
    return float(((x_NF @ weight[:-1] + weight[-1]).argmax(1) == label_N).float().mean())


def main() -> None:
    """Measure and print one row of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("codec", "denoise", "probe", "tokens"))
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="the prepared set that it was trained on")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    args = parser.parse_args()
    model, prepared = load(args.run), open_prepared(args.data)
    measures = {"codec": codec, "denoise": denoise, "probe": probe, "tokens": tokens}
    config = model.family.config
    row = {
        "what": args.what,
        "family": model.facts["family"],
        "side": "hold-out",
        **measures[args.what](model, prepared),
        "config": config.model_dump(mode="json", exclude_defaults=True, exclude={"conditions"}),
        "trained_minutes": model.facts.get("minutes"),
        "trained_on": model.facts.get("source"),
    }
    if args.record:
        write_row("autoencoding", **row)
    else:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
