"""Shards, merges and resumed files give what one pass gives; files of other tools are read and written."""

import pickle

import numpy as np
import pytest
import safetensors
import torch
from safetensors.numpy import save

from tests.support.sabotage import breaks
from zeuxis.features import extractor
from zeuxis.metrics import files
from zeuxis.metrics.accumulator import Accumulator
from zeuxis.metrics.frechet import frechet_distance


class Tiny(torch.nn.Module):
    """Nine numbers an image."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 9, 5, stride=2)
        for parameter in self.parameters():
            torch.nn.init.normal_(parameter, generator=generator)

    def forward(self, x):
        return self.conv(x).relu().mean((2, 3))


@pytest.fixture(scope="module")
def network():
    return extractor(Tiny(), size=16)


def images(n, seed=0, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (n, 20, 16, channels), dtype=np.uint8)


def same(a, b):
    assert len(a) == len(b)
    for tap in a.taps:
        assert a.features(tap).receipt == b.features(tap).receipt
        assert np.array_equal(a.features(tap).array, b.features(tap).array)
    one, two = a.statistics(), b.statistics()
    assert one.keys() == two.keys() and one
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_shards_merges_and_resumed_files_are_one_pass_bit_for_bit(network, tmp_path):
    pixels = images(103)
    whole = Accumulator(network).add(pixels)
    shards = Accumulator(network)
    for start, stop in ((0, 1), (1, 40), (40, 41), (41, len(pixels))):
        shards.add(pixels[start:stop])
    same(whole, shards)
    same(whole, Accumulator(network).add(pixels[:50]).merge(Accumulator(network).add(pixels[50:])))
    Accumulator(network).add(pixels[:33]).save(tmp_path / "half.safetensors")
    same(whole, Accumulator(network).resume(tmp_path / "half.safetensors").add(pixels[33:]))


@breaks("features/__init__.py", "batch[np.arange(step) % len(batch)]", "batch")
def test_every_batch_has_one_size_since_others_change_last_bits():
    seen = set()

    class Watched(Tiny):
        def forward(self, x):
            seen.add(len(x))
            return super().forward(x)

    network = extractor(Watched(), size=16)
    Accumulator(network).add(images(network.chunk + 3)).add(images(1))
    assert seen == {network.chunk}


@breaks("metrics/accumulator.py", "if mine != theirs or", "if")
def test_what_does_not_belong_together_is_refused(network, tmp_path):
    seen = Accumulator(network).add(images(4))
    with pytest.raises(ValueError, match=r"20x16x1 and those before 20x16x3"):
        seen.add(images(4, channels=1))
    other = Accumulator(extractor(Tiny(), size=12)).add(images(4))
    with pytest.raises(ValueError, match="cannot be merged"):
        seen.merge(other)
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="compute it anew"):
        Accumulator(network).resume(tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "other.safetensors").read_bytes()[:99])
    with pytest.raises(ValueError, match="cannot be read"):
        files.read_statistics(tmp_path / "torn.safetensors")
    with pytest.raises(ValueError, match="no image was added"):
        Accumulator(network).features()
    with pytest.raises(ValueError, match="expected uint8"):
        seen.add(images(2).astype(np.float32))
    with pytest.raises(ValueError, match="no layer 'pool9'"):
        Accumulator(network, ("pool9",))


def test_features_that_are_no_numbers_name_the_image():
    class Broken(Tiny):
        def forward(self, x):
            return super().forward(x) / (x.mean((1, 2, 3)) < 0.99)[:, None]

    pixels = images(6)
    pixels[4] = 255
    with pytest.raises(ValueError, match="image 4 are not finite"):
        Accumulator(extractor(Broken(), size=16)).add(pixels)


def test_statistics_files_come_back_as_they_were(network, tmp_path):
    seen = Accumulator(network).add(images(40))
    found, moments = seen.features(), seen.moments()
    seen.save(tmp_path / "ours.safetensors")
    files.write_pytorch_fid(tmp_path / "fid.npz", moments)
    files.write_clean_fid_kernel(tmp_path / "kid.npz", found)
    files.write_stylegan(tmp_path / "gan.pkl", found)
    ours = files.read_statistics(tmp_path / "ours.safetensors")
    assert np.array_equal(ours.array, found.array) and ours.receipt == found.receipt
    fid = files.read_statistics(tmp_path / "fid.npz")
    assert np.array_equal(fid.mean_D, moments.mean_D) and fid.n is None
    assert np.array_equal(fid.covariance_DD, moments.covariance_DD)
    assert np.array_equal(files.read_statistics(tmp_path / "kid.npz").array, found.array)
    assert np.array_equal(files.read_statistics(tmp_path / "gan.pkl").array, found.array)
    assert all(files.is_statistics(path) for path in tmp_path.iterdir())
    np.savez(tmp_path / "images.npz", images=images(2))
    assert not files.is_statistics(tmp_path / "images.npz")


@breaks("metrics/files.py", " * (n / (n - 1))", "")
def test_stylegan_sums_without_features_give_the_unbiased_covariance(tmp_path):
    x_ND = np.random.default_rng(0).normal(3, 2, (50, 4))
    state = {
        "num_items": 50,
        "all_features": None,
        "raw_mean": x_ND.sum(0),
        "raw_cov": x_ND.T @ x_ND,
    }
    (tmp_path / "sums.pkl").write_bytes(pickle.dumps(state))
    found = files.read_statistics(tmp_path / "sums.pkl")
    assert found.n == 50
    assert np.allclose(found.mean_D, x_ND.mean(0), rtol=1e-12)
    assert np.allclose(found.covariance_DD, np.cov(x_ND.T), rtol=1e-10)


def test_a_pickle_that_would_run_code_is_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (eval, ("open('/tmp/never', 'w')",))

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"num_items": Evil()}))
    with pytest.raises(ValueError, match=r"wants to run builtins\.eval"):
        files.read_statistics(tmp_path / "evil.pkl")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mu": np.zeros(3), "sigma": np.zeros((2, 2))}, r"expected \(D,\) and \(D, D\)"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "NaN or infinity"),
        ({"mean": np.zeros(3)}, "holds mu and sigma, or feats"),
    ],
)
def test_a_wrong_statistics_file_is_explained(arrays, words, tmp_path):
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        files.read_statistics(tmp_path / "wrong.npz")


def altered(path, changed=None, **facts):
    """A saved accumulator with other arrays or facts."""
    with safetensors.safe_open(path, "np") as file:
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        known = file.metadata()
    held = {name: changed(array) if changed else array for name, array in held.items()}
    path.write_bytes(save({**held, **facts.pop("more", {})}, {**known, **facts}))


@breaks("metrics/accumulator.py", " or not _fit(receipts, kinds)", "")
@breaks("metrics/accumulator.py", '("image") == image', '("image")')
@breaks("metrics/accumulator.py", " and value.isprintable()", "")
@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"receipts": "[" * 50_000}, "receipts are damaged"),
        ({"receipts": "[]"}, "receipts are damaged"),
        ({"receipts": "{}"}, "do not fit"),
        ({"receipts": '{"output": "abc"}'}, "do not fit"),
        ({"receipts": '{"output": {"image": "\x1b[2J"}}'}, "receipts are damaged"),
        ({"receipts": '{"output": {"image": "9x9x3"}}'}, "do not fit"),
        ({"receipts": '{"output": {"image": "20x16x3", "network": "\\u001b"}}'}, "do not fit"),
        ({"receipts": '{"output": {"image": "\\u001b[2J"}}'}, "do not fit"),
        ({"image": "9x9x3\x1b[2J"}, "do not fit"),
        ({"receipts": '{"other": {"image": "20x16x3"}}'}, "do not fit"),
        ({"more": {"statistics.x": np.zeros((6, 1))}}, "do not fit"),
        ({"more": {"statistics.x": np.zeros(5)}}, "do not fit"),
        ({"more": {"x": np.zeros(6)}}, "do not fit"),
        ({"changed": lambda x: x.reshape(-1)}, "do not fit"),
        ({"changed": lambda x: x[:0]}, "do not fit"),
        ({"changed": lambda x: x.astype(np.int32)}, "do not fit"),
        ({"changed": lambda x: x * np.nan}, "NaN or infinite"),
    ],
)
def test_a_file_of_features_that_does_not_fit_together_is_refused(facts, words, network, tmp_path):
    path = tmp_path / "a.safetensors"
    Accumulator(network).add(images(6)).save(path)
    altered(path)
    assert len(files.read_statistics(path)) == 6
    altered(path, **facts)
    with pytest.raises(ValueError, match=words):
        files.read_statistics(path)


def test_a_file_and_images_give_the_same_distance(network, tmp_path):
    fake, real = Accumulator(network).add(images(60, 1)), Accumulator(network).add(images(70, 2))
    real.save(tmp_path / "real.safetensors")
    direct = frechet_distance(fake.features(), real.features())
    read = frechet_distance(fake.features(), files.read_statistics(tmp_path / "real.safetensors"))
    assert direct == read
