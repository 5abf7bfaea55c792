"""Exported networks give what the product's give, for any number of rows."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.kit import ALL, build, wake
from tests.support.need import ROOT
from tests.support.sabotage import breaks
from zeuxis.core.errors import Conflict, NotFound, Unable
from zeuxis.core.rng import Rng
from zeuxis.export import onnx
from zeuxis.export.graphs import graphs
from zeuxis.export.meta import randomness
from zeuxis.export.running import runner
from zeuxis.export.write import export
from zeuxis.inference import artefact
from zeuxis.nn import lstm

GAN = ROOT / "tests" / "fixtures" / "gan"
FLOAT16 = 10
"""As ONNX numbers its types."""
QUICK = {"gan"}
"""Those whose files are written and run at every change; the others when slow tests run."""
CASES = [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in ALL]


def tiny(name, **changed):
    """A family whose networks give something."""
    return wake(build(name, **changed)).eval().requires_grad_(False)


def some(graph, rows):
    """The graph's examples, or the first of them."""
    return {k: v if k in graph.fixed else v[:rows] for k, v in graph.inputs.items()}


@breaks("nn/towers.py", "modulation(x.shape[0]", "modulation(int(x.shape[0])")
@breaks("nn/synthesis.py", "self.start.expand(w_BLZ.shape[0]", "self.start.expand(3")
@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_the_number_of_rows_is_free(name):
    family = tiny(name)
    for graph in graphs(family):
        two = some(graph, 2)
        found = onnx.traced(family, graph).module()(*two.values())
        expected = graph.call(graph.inputs)[:2]
        assert torch.allclose(found.float(), expected.float(), atol=1e-4), graph.name


@breaks("export/onnx.py", "keep_io_types=True", "keep_io_types=False")
@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_files_give_the_same(name, tmp_path):
    family = tiny(name)
    for graph in graphs(family):
        model, path = onnx.convert(family, graph), tmp_path / (graph.name + onnx.SUFFIX)
        onnx.write(path, model)
        expected = graph.call(graph.inputs)
        for rows in (3, 2):
            assert torch.allclose(runner(path)(some(graph, rows)), expected[:rows], atol=1e-4), (
                graph.name
            )
        assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == onnx.ROWS
        half = onnx.halved(model)
        onnx.write(path, half)
        kinds = {one.data_type for one in half.graph.initializer}
        assert FLOAT16 in kinds or not {*graph.inputs} & {"image", "x", "latent", "noise_z"}
        assert (runner(path)(graph.inputs) - expected).abs().max() < 0.1


@breaks("export/onnx.py", "custom_translation_table=exact()", "custom_translation_table={}")
@torch.no_grad()
def test_unlikely_levels_stay_finite(tmp_path):
    """Of a trained model some are so unlikely that a sigmoid is 0 in float32."""
    family = artefact.load(ROOT / "tests" / "fixtures" / "before" / "pixelcnn")
    (graph,) = graphs(family)
    onnx.write(tmp_path / "log_p.onnx", onnx.convert(family, graph))
    run = runner(tmp_path / "log_p.onnx")
    for place in (0, 70, 143):
        given = {**graph.inputs, "place": torch.tensor([place])}
        assert (run(given) - graph.call(given)).abs().max() < 1e-4


@breaks("export/graphs.py", "text_BT.shape[1] + 1 : -1", "text_BT.shape[1] : -2")
@torch.no_grad()
def test_the_step_of_a_transformer_says_what_it_says_of_images():
    family = tiny("illustrate")
    graph = next(each for each in graphs(family) if each.name == "tokens")
    given, token = {**graph.inputs}, graph.inputs["token"]
    cond = {key: value for key, value in given.items() if key != "token"}
    nats_B = -graph.call(given).gather(2, token[..., None]).sum((1, 2))
    image = family.patches.decode(token)
    assert torch.equal(family.patches.encode(image), token)
    assert torch.allclose(nats_B, family.nats(image, cond, True).image_B, atol=1e-4)


@breaks(
    "export/graphs.py", "            module.fitted = fitted\n", "            module.fitted = True\n"
)
@pytest.mark.parametrize("fitted", [False, True])
@torch.no_grad()
def test_a_prior_that_was_fitted_or_not(fitted):
    family = tiny("vae", prior="fitted_flow")
    family.prior.fitted.fill_(fitted)
    before = family.decode(torch.ones(2, family.config.latent), family.condition({}, 2))
    graph = graphs(family)[0]
    given = {**some(graph, 2), "noise_z": torch.ones(2, family.config.latent)}
    assert torch.allclose(onnx.traced(family, graph).module()(*given.values()), before, atol=1e-5)
    with pytest.raises(Unable, match="train one with family.prior=flow"):
        graphs(tiny("vae", prior="mixture"))


@pytest.mark.slow
@breaks("export/onnx.py", "input_size_limit=LARGEST, output_size_limit=LARGEST", "")
@torch.no_grad()
def test_padded_weights_can_be_loaded(tmp_path):
    family = tiny("pixelcnn", widths=(96,), blocks=1)
    (graph,) = graphs(family)
    onnx.write(tmp_path / "log_p.onnx", onnx.convert(family, graph))
    off = runner(tmp_path / "log_p.onnx")(graph.inputs) - graph.call(graph.inputs)
    assert off.abs().max() < 1e-4


@breaks("nn/lstm.py", "f * cell[first:last] + i", "cell[first:last] + i")
@pytest.mark.parametrize("layer", ["row", "diagonal"])
def test_the_recurrence_in_stock_operations_is_the_fused_one(layer):
    torch.manual_seed(0)
    schedule = {"row": lstm.rows, "diagonal": lstm.diagonals}[layer](3, 4)
    cells = lstm.Cells(6, 4, len(schedule.taps), 2)
    x, label = torch.randn(12, 2, 6), torch.randn(2, 2)
    fused = cells(x, label, schedule)
    cells.fused = False
    assert torch.allclose(cells(x, label, schedule), fused, atol=1e-6)


@breaks("export/meta.py", "if 0 <= at", "if 0 < at")
@pytest.mark.parametrize("name", ["gan", "stylegan", "flow", "pixelcnn"])
def test_noise_is_told_as_parts_of_draws(name):
    family = tiny(name)
    told, rng = randomness(family), Rng.for_images(7, [3])
    draws = {
        each["name"]: getattr(rng, each["kind"])(each["name"], each["count"])
        for each in told["draws"]
    }
    noise = family.noise(rng)
    assert {*told["noise"]} == {*noise}
    for key, at in told["noise"].items():
        count = int(np.prod(at["shape"]))
        part = draws[at["draw"]][0, at["start"] : at["start"] + count].reshape(at["shape"])
        assert torch.equal(part, noise[key][0])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "gan"
    return folder, export(GAN, "onnx", folder, licence="MIT", compared=3)


def test_an_export_tells_what_it_is_and_how_far_off(exported):
    folder, files = exported
    assert {path.name for path in files} == {
        "generate.onnx",
        "meta.json",
        "parity.json",
        "README.md",
    }
    meta = json.loads((folder / "meta.json").read_text())
    assert (
        meta["licence"] == "MIT" and meta["loop"]["kind"] == "once" and "no mark" in meta["marks"]
    )
    assert [one["name"] for one in meta["graphs"]["generate"]["inputs"]] == ["noise_z", "label"]
    parity = json.loads((folder / "parity.json").read_text())
    assert parity["largest_difference"]["generate"] < 1e-4
    assert (
        parity["pictures"]["largest_difference_in_levels"] <= 1 and parity["pictures"]["count"] == 3
    )


def test_the_snippet_of_the_readme_runs(exported, monkeypatch):
    folder, _ = exported
    monkeypatch.chdir(folder)
    (text,) = re.findall(r"^```python\n(.*?)^```", (folder / "README.md").read_text(), re.M | re.S)
    known = {"meta": Path("meta.json").read_text()}
    exec(text.replace('json.load(open("meta.json"))', "json.loads(meta)"), known)
    assert known["found"].shape == (4, 3, 8, 8) and np.abs(known["found"]).max() <= 1


def test_refusals(tmp_path, monkeypatch):
    with pytest.raises(NotFound, match="did you mean 'onnx'"):
        export(GAN, "onx")
    with pytest.raises(NotFound, match="holds no trained model"):
        export(tmp_path, "onnx")
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Conflict, match="is no earlier export"):
        export(GAN, "onnx", tmp_path)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(Unable, match=r"pip install 'zeuxis\[export\]'"):
        export(GAN, "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()
