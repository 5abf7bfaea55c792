"""Inception against torch-fidelity's on shared random weights, and its files against each other."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.support.peers import inception_weights, torch_fidelity
from tests.support.sabotage import breaks
from zeuxis.features import extractor
from zeuxis.features import inception as room
from zeuxis.features.inception_network import SHAPES, Inception

TAPS = ("64", "192", "768", "2048", "logits_unbiased", "logits")


@pytest.fixture(scope="module")
def weights():
    return inception_weights()


@pytest.fixture(scope="module")
def path(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(weights, path)
    return path


@pytest.fixture(scope="module")
def ours(path):
    return extractor("inception", weights=path, published=False)


@pytest.fixture(scope="module")
def theirs(path):
    return torch_fidelity().FeatureExtractorInceptionV3("inception", list(TAPS), str(path))


def pictures(n=2, height=32, width=32, channels=3, seed=0):
    """Smooth colours under noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 4, 4, channels)).repeat(height // 4 + 1, 1)
    coarse = coarse.repeat(width // 4 + 1, 2)[:, :height, :width]
    return (coarse + rng.normal(0, 12, coarse.shape)).clip(0, 255).astype(np.uint8)


def test_the_architecture_has_the_published_size(weights):
    assert len(weights) == 566 and len(SHAPES) == 94
    learned = [v for k, v in weights.items() if "running" not in k and "num_" not in k]
    assert sum(v.numel() for v in learned) == 23_850_960


def test_random_features_are_alive(ours):
    found = ours(pictures(4))
    assert found["2048"].shape == (4, 2048) and found["logits"].shape == (4, 1008)
    assert found["2048"].std(0).mean() > 0.05
    assert ours.taps[0] == "2048" and set(ours.taps) == set(TAPS)


@breaks("features/inception.py", "(low + 1).clamp_max(size - 1)", "low")
@breaks("features/inception.py", "((x_BHWC - 128) / 128)", "((x_BHWC - 127.5) / 127.5)")
@pytest.mark.parametrize("size", [(32, 32), (37, 61), (299, 299), (320, 403), (1, 5)])
def test_the_resize_is_torch_fidelitys_to_the_bit(size):
    torch_fidelity()
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x as reference,
    )

    image = pictures(1, *size)
    x = torch.from_numpy(image).permute(0, 3, 1, 2).float()
    expected = (reference(x, size=(299, 299), align_corners=False) - 128) / 128
    assert torch.equal(room.prepare(image), expected)


def test_the_resize_has_no_half_pixel_centres_and_no_antialiasing():
    row = np.array([0, 100, 250], np.uint8).reshape(1, 1, 3, 1).repeat(3, 1)
    levels = room.prepare(row)[0, 0, 0] * 128 + 128
    for i in (0, 50, 150, 298):
        expected = np.interp(i * 3 / 299, [0, 1, 2], [0, 100, 250])
        assert levels[i].item() == pytest.approx(expected, abs=1e-3)
    lines = np.zeros((1, 598, 598, 1), np.uint8)
    lines[:, ::2] = 255  # every other row, hence all that is kept
    assert (room.prepare(lines) * 128 + 128 == 255).all()


@breaks("features/inception_network.py", "count_include_pad=False", "count_include_pad=True")
@breaks("features/inception_network.py", 'name == "Mixed_7c"', 'name == "Mixed_7b"')
@breaks(
    "features/inception_network.py",
    "SIDE, CLASSES, EPSILON = 299, 1008, 1e-3",
    "SIDE, CLASSES, EPSILON = 299, 1008, 1e-5",
)
@breaks("features/inception_network.py", "shift - mean * scale", "shift")
def test_features_of_image_files_equal_torch_fidelitys(ours, theirs, tmp_path):
    """Through both whole paths: PNG files, decoding, resize, network; odd sizes, one grey."""
    sizes = [(32, 32, 3), (45, 70, 3), (28, 28, 1), (301, 310, 3)]
    for i, size in enumerate(sizes):
        Image.fromarray(pictures(1, *size, seed=i)[0].squeeze()).save(tmp_path / f"{i}.png")
    from torch_fidelity.utils import extract_featuresdict_from_input_id as extract

    expected = extract(
        1, theirs, input1=str(tmp_path), batch_size=1, cuda=False, save_cpu_ram=True, verbose=False
    )
    for i in range(len(sizes)):
        with Image.open(tmp_path / f"{i}.png") as image:
            found = ours(np.atleast_3d(np.asarray(image))[None])
        for tap in TAPS:
            reference = expected[tap][i]
            assert (found[tap][0] - reference).norm() <= 1e-5 * reference.norm(), tap


def test_bfloat16_is_close_and_says_so(path, ours):
    images = pictures(1)
    low = extractor("inception", weights=path, published=False, precision="bfloat16")
    error = (low(images)["2048"] - ours(images)["2048"]).norm() / ours(images)["2048"].norm()
    assert 1e-5 < error < 0.05
    assert low.receipt("2048")["precision"] == "bfloat16"


@breaks("features/inception.py", "published and not known", "False")
def test_unpublished_weights_are_refused_unless_they_are_called_so(path, ours):
    with pytest.raises(ValueError, match=r"SHA-256 .* it is not opened; with published=False"):
        extractor("inception", weights=path)
    assert ours.receipt("2048")["network"] == "Inception 2015, unpublished weights"
    assert ours.receipt("2048")["weights_sha256"] == room.sha256(path)
    with pytest.raises(ValueError, match="leave the size out"):
        extractor("inception", weights=path, size=224)


def test_a_published_file_is_found_in_the_cache_by_its_name(path, tmp_path, monkeypatch):
    monkeypatch.setenv("ZEUXIS_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="put one of pt_inception-2015-12-05-6726825d.pth"):
        extractor("inception")
    (tmp_path / "inception-2015-12-05.pt").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match=r"SHA-256 .* expected 6726825d0af5\.\.\. or f58cb9b6ec32"):
        extractor("inception")
    monkeypatch.setattr(room, "sha256", lambda path: room.SCRIPT_SHA256)
    receipt = extractor("inception").receipt("2048")
    assert receipt["network"] == "Inception 2015"
    assert receipt["weights_sha256"].startswith("f58cb9b6")


def test_a_file_without_a_tensor_or_with_a_wrong_shape_is_refused(weights, tmp_path):
    path = tmp_path / "some.safetensors"
    lacking = {k: v for k, v in weights.items() if k != "Mixed_6c.branch7x7_2.bn.bias"}
    save_file(lacking, path)
    with pytest.raises(ValueError, match="has no tensor 'Mixed_6c.branch7x7_2.bn.bias'"):
        extractor("inception", weights=path, published=False)
    save_file(weights | {"fc.bias": torch.zeros(1000)}, path)
    with pytest.raises(ValueError, match=r"fc.bias is \(1000,\), expected \(1008,\)"):
        extractor("inception", weights=path, published=False)


class Holder(torch.nn.Module):
    """A module tree with tensors under dotted names, as TorchScript saves one."""

    def __init__(self, tensors):
        super().__init__()
        below = {}
        for name, tensor in tensors.items():
            first, _, rest = name.partition(".")
            if rest:
                below.setdefault(first, {})[rest] = tensor
            else:
                self.register_buffer(first, tensor)
        for name, inner in below.items():
            self.add_module(name, Holder(inner))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def script(tensors, path):
    """Save as TorchScript (torch itself now warns of it, since it is old)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Holder(tensors)).save(str(path))


@breaks("features/inception.py", '"mean": "bn.running_mean"', '"mean": "bn.bias"')
def test_the_torchscript_archive_gives_the_same_network(tmp_path):
    plain = inception_weights(seed=1, scales=False)
    keys = {"conv.weight": "weight", "bn.bias": "beta", "bn.running_mean": "mean"}
    keys |= {"bn.running_var": "var"}
    old = {"output.weight": plain["fc.weight"], "output.bias": plain["fc.bias"]}
    for name, there in room.RENAMED.items():
        old |= {f"layers.{there}.{b}": plain[f"{name}.{a}"] for a, b in keys.items()}
    script(old, tmp_path / "a.pt")
    found = room.load(tmp_path / "a.pt").state_dict()
    expected = Inception(plain).state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in found)
