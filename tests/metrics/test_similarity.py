import numpy as np
import pytest
import torch

from tests.support.sabotage import breaks
from zeuxis.features import load_network, prepare
from zeuxis.metrics.perceptual import LAST, perceptual_distance, perceptual_receipt
from zeuxis.metrics.similarity import WEIGHTS, ms_ssim, psnr, scale_weights, ssim


def pairs(n=3, height=20, width=23, channels=3, seed=0):
    """Smooth pictures and noisy, darker ones of the same."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    phase = rng.uniform(0, 6, (n, 1, 1, channels))
    a = 128 + 100 * np.sin(x[..., None] / 4 + y[..., None] / 7 + phase)
    b = 0.8 * a + rng.normal(0, 15, a.shape)
    return a.round().astype(np.uint8), b.round().clip(0, 255).astype(np.uint8)


def factors_by_hand(a, b):
    """Means of SSIM and of its contrast-structure part: one window at a time, from the definition."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2, whole, structure = 6.5025, 58.5225, [], []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            structure.append((2 * cov + c2) / (vp + vq + c2))
            whole.append(structure[-1] * (2 * mp * mq + c1) / (mp**2 + mq**2 + c1))
    return np.mean(whole), np.mean(structure)


@breaks("metrics/similarity.py", "torch.exp(-0.5 * ", "torch.exp(-")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_ssim_is_its_definition(channels):
    a, b = pairs(2, 13, 17, channels)
    expected = [
        np.mean([factors_by_hand(p[..., c], q[..., c])[0] for c in range(channels)])
        for p, q in zip(a.astype(float), b.astype(float), strict=True)
    ]
    assert ssim(a, b) == pytest.approx(expected, abs=1e-10)


def test_ssim_is_scikit_images():
    metrics = pytest.importorskip("skimage.metrics")
    for a, b in (pairs(), pairs(2, 40, 11, 1, seed=1)):
        for p, q, found, decibels in zip(a, b, ssim(a, b), psnr(a, b), strict=True):
            expected = metrics.structural_similarity(
                p,
                q,
                channel_axis=2,
                data_range=255,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            assert found == pytest.approx(expected, abs=1e-6)
            assert decibels == pytest.approx(metrics.peak_signal_noise_ratio(p, q), abs=1e-9)


def halved_by_hand(x):
    """Each 2x2 block's mean, the last row or column repeated where it has no partner."""
    x = np.pad(x, [(0, side % 2) for side in x.shape], mode="edge")
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4


@breaks("metrics/similarity.py", "whole_BC if last else structure_BC", "structure_BC")
@breaks("metrics/similarity.py", 'mode="replicate"', 'mode="constant"')
@breaks("metrics/similarity.py", "sum(fitting) if len(fitting) < len(WEIGHTS) else 1.0", "1.0")
def test_ms_ssim_is_its_definition_with_as_many_scales_as_fit():
    a, b = pairs(1, 43, 45, 2)
    weights = np.array(WEIGHTS[:3]) / sum(WEIGHTS[:3])
    assert scale_weights(43, 45) == pytest.approx(weights)
    each = []
    for c in range(2):
        p, q, product = a[0, ..., c].astype(float), b[0, ..., c].astype(float), 1.0
        for scale, weight in enumerate(weights):
            whole, structure = factors_by_hand(p, q)
            product *= (whole if scale == 2 else structure) ** weight
            p, q = halved_by_hand(p), halved_by_hand(q)
        each.append(product)
    assert ms_ssim(a, b) == pytest.approx([np.mean(each)], abs=1e-10)
    small = pairs(2, 12, 12)
    assert ms_ssim(*small) == pytest.approx(ssim(*small), abs=1e-12)


def test_ms_ssim_of_five_scales_is_the_peers():
    peer = pytest.importorskip("pytorch_msssim")
    a, b = pairs(1, 176, 192)
    x, y = (torch.from_numpy(side).permute(0, 3, 1, 2).double() for side in (a, b))
    expected = peer.ms_ssim(x, y, data_range=255, size_average=False).numpy()
    assert scale_weights(176, 192) == WEIGHTS
    assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-7)


@breaks("metrics/similarity.py", ".clamp(min=0) ** weight", " ** weight")
def test_opposite_images_have_no_similarity_and_equal_ones_all():
    a, _ = pairs()
    assert ssim(a, 255 - a).max() < 0 and (ms_ssim(a, 255 - a) == 0).all()
    flat = np.full((1, 16, 16, 1), 7, np.uint8)
    for same in (a, flat):
        assert ssim(same, same) == pytest.approx(1) == ms_ssim(same, same)
        assert np.isinf(psnr(same, same)).all()
    assert psnr(flat, flat + 10) == pytest.approx([10 * np.log10(255**2 / 100)])


def test_chunks_do_not_matter(monkeypatch):
    a, b = pairs(5)
    whole = [measure(a, b) for measure in (psnr, ssim, ms_ssim, perceptual_distance)]
    monkeypatch.setattr("zeuxis.metrics.similarity.CHUNK", 3000)
    monkeypatch.setattr("zeuxis.metrics.perceptual.CHUNK", 2)
    parts = [measure(a, b) for measure in (psnr, ssim, ms_ssim, perceptual_distance)]
    assert np.allclose(whole[:3], parts[:3], atol=1e-12)
    assert parts[3] == pytest.approx(whole[3], abs=1e-5)


@breaks("metrics/perceptual.py", "yield F.normalize(x, dim=1, eps=EPSILON)", "yield x")
@breaks("metrics/perceptual.py", "LAST = (0, 2, 4, 10, 15)", "LAST = (0, 2, 4, 10, 14)")
def test_the_perceptual_distance_is_its_definition():
    a, b = pairs(2, 40, 32)
    net, seen = load_network(), []
    with torch.no_grad():
        for side in (a, b):
            x, maps = net.stem((prepare(side, 96) - 127) / 128), []
            for block in net.blocks:
                x = block(x)
                maps.append(x.double().numpy())
            seen.append(maps)
    last = {}  # of each size
    for i, one in enumerate(seen[0]):
        last[one.shape[2:]] = i
    assert tuple(last.values()) == LAST
    total = np.zeros(2)
    for i in LAST:
        u, v = (maps[i] / np.linalg.norm(maps[i], axis=1, keepdims=True) for maps in seen)
        total += ((u - v) ** 2).sum(1).mean((1, 2))
    assert perceptual_distance(a, b) == pytest.approx(total, rel=1e-5)
    assert perceptual_receipt()["input"].startswith("96x96")
    assert perceptual_distance(a, b, 64) != pytest.approx(total, rel=1e-3)


def test_the_perceptual_distance_orders_what_eyes_order():
    a, b = pairs(2, 32, 32)
    near = np.clip(a.astype(int) + 3, 0, 255).astype(np.uint8)
    other = pairs(2, 32, 32, seed=5)[0].transpose(0, 2, 1, 3)
    assert (perceptual_distance(a, a) == 0).all()
    assert perceptual_distance(a, b) == pytest.approx(perceptual_distance(b, a), rel=1e-9)
    assert (perceptual_distance(a, near) < perceptual_distance(a, other)).all()
    grey = a[..., :1]
    assert perceptual_distance(grey, 255 - grey) == pytest.approx(
        perceptual_distance(grey.repeat(3, 3), 255 - grey.repeat(3, 3)), rel=1e-5
    )


@pytest.mark.parametrize("measure", [psnr, ssim, ms_ssim, perceptual_distance])
def test_what_cannot_be_paired_is_refused(measure):
    a, b = pairs()
    for other in (b[..., :1], b[:, :15], b[:2]):
        with pytest.raises(ValueError, match="equal numbers of images, sizes and channels"):
            measure(a, other)
    with pytest.raises(ValueError, match="uint8 images"):
        measure(a / 255, b / 255)
    with pytest.raises(ValueError, match="at least one"):
        measure(a[:0], b[:0])


def test_images_below_the_window_are_refused():
    a, b = pairs(2, 10, 30)
    for measure in (ssim, ms_ssim):
        with pytest.raises(ValueError, match="at least 11x11, got 10x30"):
            measure(a, b)
    with pytest.raises(ValueError, match="1, 3 or 4 channels, got 2"):
        perceptual_distance(a[..., :2], b[..., :2])
