"""Another's pipelines as runs: the same verbs, our seeds, and nothing is read but tensors and JSON."""

import base64
import io
import json
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from tests.support import pipelines
from tests.support.pipelines import SIDE, edit, write
from tests.support.sabotage import breaks
from zeuxis.cli.main import main
from zeuxis.core.errors import Conflict, Error, Invalid, NotFound, Stopped, Unable
from zeuxis.core.pipelines import usual
from zeuxis.core.rng import Rng
from zeuxis.evaluation.report.verdict import Verdict, advised
from zeuxis.export.write import export
from zeuxis.inference.adopt import adopt
from zeuxis.inference.model import load
from zeuxis.training import run as training
from zeuxis.training import runs as listing
from zeuxis.training.doctor.explain import explain
from zeuxis.trust import cards, release

pytestmark = [
    pytest.mark.skipif(not pipelines.HAVE, reason="the extra `pretrained` is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of diffusers' own calls
]
TEXT = ["red hat"]
LONG = 12
STEPS = {"steps": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Stable Diffusion of 16 x 16 pixels."""
    return write(tmp_path_factory.mktemp("pipelines") / "tiny")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return adopt(folder, tmp_path_factory.mktemp("runs") / "tiny", {"steps": "3"})


@pytest.fixture(scope="module")
def model(run):
    return load(run)


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copied")


@pytest.fixture(scope="module")
def photos():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)


def differ(a, b):
    return np.abs(a.images.astype(int) - b.images).mean()


@breaks("training/runs.py", '== folder / "config.json":', "== folder:")
@breaks("training/runs.py", '.get("adopted"), dict)', '.get("adopted"), list)')
@breaks("training/runs.py", '"source": adopted.get("name")', '"source": ""')
def test_it_is_listed_among_the_runs(run, tmp_path, capsys):
    (run.parent / "other").mkdir(exist_ok=True)
    (run.parent / "other" / "config.json").write_text('{"family": "of another program"}')
    (found,) = listing.find([run.parent])
    assert (found.folder, found.family, found.source) == (run, "pretrained", "tiny")
    assert (found.state, listing.reached(found)) == ("adopted", "")
    assert explain(run).state == "others have trained it (zeuxis adopt)"
    with pytest.raises(NotFound, match="no training to watch"):
        listing.follow(run, lambda event: None)
    assert main(["runs", str(run), "--compare", str(tmp_path / "page.html")]) == 0
    assert "pretrained adopted" in " ".join(capsys.readouterr().out.split())
    assert ">adopted<" in (tmp_path / "page.html").read_text()


def test_a_pipeline_becomes_a_run_without_a_copy_of_its_weights(folder, run):
    content = json.loads((run / "config.json").read_text())
    assert content["config"]["pipeline"] == "StableDiffusionPipeline"
    assert content["config"]["steps"] == 3 and content["config"]["guidance_scale"] == 7.5
    assert sum(path.stat().st_size for path in run.iterdir()) < 20_000
    named = {name for name in content["config"]["files"] if name.endswith(".safetensors")}
    assert named == {str(path.relative_to(folder)) for path in folder.rglob("*.safetensors")}


@breaks("families/pretrained.py", '(seed,), "pretrained"', '(7,), "pretrained"')
def test_a_picture_depends_on_its_seed_and_text_alone(model):
    texts = ["red hat", "a hat", "red"]
    three = model.sample(3, seed=5, text=texts)
    again = model.sample(3, seed=5, text=texts)
    one = model.sample(1, seed=5, text=texts[:1])
    assert three.images.shape == (3, SIDE, SIDE, 3) and three.images.dtype == np.uint8
    assert np.array_equal(three.images, again.images)
    assert np.array_equal(three.images[:1], one.images)
    other = model.sample(1, seed=6, text=texts[:1])
    assert not np.array_equal(one.images, other.images)
    alone = model.batches(
        lambda ask: ask.family.generate(ask.noise(), {}, model.family.Controls()),
        np.zeros((3, 0), np.int64),
        seed=5,
    )
    assert len({image.numpy().tobytes() for image in alone}) == 3


@breaks("families/pretrained.py", '"prompt": config', '"prompt": "" and config')
@breaks(
    "families/pretrained.py",
    '"negative_prompt": controls.negative or None',
    '"negative_prompt": None',
)
def test_text_guidance_steps_and_negative_text_each_count(model):
    base = model.sample(1, text=TEXT)
    for other in (
        model.sample(1, text=["a blue cat"]),
        model.sample(1, text=TEXT, guidance_scale=1.0),
        model.sample(1, text=TEXT, steps=5),
        model.sample(1, text=TEXT, negative="a cat"),
    ):
        assert differ(base, other) > 0
    assert differ(base, model.sample(1, text=TEXT, steps=3, guidance_scale=7.5)) == 0
    assert list(base.texts) == TEXT


@breaks("families/pretrained.py", "self._packed(self._latents(seed, *size))", "None")
def test_latents_are_drawn_by_our_generator(model):
    """The same as the pipeline alone makes of them."""
    seed = Rng.for_images(5, [0]).integers("seed", 2**31, 2)[0].tolist()
    number = seed[0] << 31 | seed[1]
    latents = Rng((number,), "pretrained").normal("latents", 4, SIDE // 2, SIDE // 2)
    pipe = model.family.pipe
    with torch.inference_mode():
        made = pipe("red hat", latents=latents, num_inference_steps=3, output_type="np").images
    expected = np.rint(made * 255).astype(int)
    assert np.abs(expected - model.sample(1, seed=5, text=TEXT).images).max() <= 1


def test_schedulers_with_noise_of_their_own_repeat_it_and_leave_the_global_generator(
    model, monkeypatch
):
    ancestral = pipelines.library().EulerAncestralDiscreteScheduler.from_config(
        model.family.pipe.scheduler.config
    )
    monkeypatch.setattr(model.family.pipe, "scheduler", ancestral)
    before = torch.get_rng_state()
    pair = [model.sample(2, seed=1, text=TEXT, **STEPS).images for _ in range(2)]
    assert np.array_equal(*pair) and torch.equal(before, torch.get_rng_state())


def test_a_size_is_asked_for_with_height_and_width(model):
    assert model.sample(1, text=TEXT, height=24, width=32, **STEPS).images.shape == (1, 24, 32, 3)
    with pytest.raises(Invalid, match="15 x 16 are asked for; this pipeline draws multiples of 8"):
        model.sample(1, text=TEXT, height=15, **STEPS)


@breaks("families/pretrained.py", '"strength": controls.strength', '"strength": 0.9')
def test_images_are_varied_the_more_the_stronger(model, photos):
    near, far = (model.vary(photos, text=TEXT, strength=s, steps=4) for s in (0.25, 1.0))
    kept = model.vary(photos, text=TEXT, strength=0.01)  # one step of a hundred
    assert near.images.shape == photos.shape and differ(kept, near) < differ(kept, far)
    assert differ(kept, model.vary(photos[::-1], text=TEXT, strength=0.01)) > 0
    alone = model.vary(photos[:1], text=TEXT, strength=0.25, steps=4)
    assert np.array_equal(alone.images, near.images[:1])
    assert np.array_equal(near.images, model.vary(photos, text=TEXT, strength=0.25, steps=4).images)


@breaks("families/pretrained.py", "torch.where(open_B1HW, drawn_BCHW, image_BCHW)", "drawn_BCHW")
@breaks("families/pretrained.py", "image_BCHW.masked_fill(open_B1HW, 0)", "image_BCHW")
def test_what_is_known_stays_bit_for_bit_and_what_is_open_has_no_influence(model, photos):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, SIDE // 2 :] = 1
    filled = model.complete(photos, mask, text=TEXT, **STEPS)
    assert np.array_equal(filled.images[:, :, : SIDE // 2], photos[:, :, : SIDE // 2])
    assert not np.array_equal(filled.images, photos)
    black = np.where(mask[..., None], 0, photos).astype(np.uint8)
    assert np.array_equal(filled.images, model.complete(black, mask, text=TEXT, **STEPS).images)


@breaks(
    "families/pretrained.py",
    ".from_pipe(self.pipe)",
    ".from_pipe(__import__('copy').deepcopy(self.pipe))",
)
def test_all_tasks_share_one_set_of_weights(model, photos):
    model.vary(photos[:1], **STEPS)
    siblings = model.family._siblings.values()
    assert siblings and all(one.unet is model.family.pipe.unet for one in siblings)
    assert {id(p) for p in model.family.pipe.unet.parameters()} < {
        id(p) for p in model.family.parameters()
    }
    assert not any(p.requires_grad for p in model.family.parameters())


@breaks("inference/model.py", "rows.start * total + done, count * total", "rows.start, count")
def test_progress_counts_steps_and_ends_the_call_when_it_raises(model):
    told = []
    model.sample(2, text=TEXT, steps=3, progress=lambda *each: told.append(each))
    assert told == [(done, 6) for done in range(1, 7)]

    def stop(done, total):
        raise Stopped("enough")

    with pytest.raises(Stopped):
        model.sample(1, text=TEXT, progress=stop)
    again = model.sample(1, text=TEXT)
    assert differ(again, model.sample(1, text=TEXT)) == 0


def test_what_the_text_encoder_cuts_is_said(model):
    long = " ".join(["red hat"] * LONG)
    said = model.sample(1, text=[long], **STEPS).remarks
    assert len(said) == 1 and said[0].startswith("too long a text: cut before 'red hat red")
    assert model.sample(1, text=TEXT, **STEPS).remarks == []


@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt", ".PTH"])
def test_pickles_are_refused(copied, tmp_path, suffix):
    file = copied / "unet" / f"diffusion_pytorch_model{suffix}"
    file.write_bytes(b"")
    with pytest.raises(Invalid, match=r"is a pickle, which can run code"):
        adopt(copied, tmp_path / "run")
    assert not (tmp_path / "run").exists()


RAN = "open('RAN', 'w')"


def bring_file(folder):
    (folder / "unet" / "net.py").write_text(RAN)


def bring_pipeline(folder):
    edit(folder / "model_index.json", _class_name=["evil", "EvilPipeline"])


def bring_part(folder):
    edit(folder / "model_index.json", unet=["evil", "EvilNet"])


def bring_map(folder):
    edit(folder / "text_encoder" / "config.json", auto_map={"AutoModel": "evil.Net"})


@breaks("core/pipelines.py", 'if path.suffix.lower() == ".py":', "if False:")
@breaks("core/pipelines.py", "if library not in LIBRARIES:", "if False:")
@breaks("core/pipelines.py", 'if "auto_map" in', "if False and ")
@pytest.mark.parametrize(
    "bring, said",
    [
        (bring_file, "net.py is code, and none of a pipeline is run"),
        (bring_pipeline, "those that can be adopted are Stable"),
        (bring_part, "the unet of .* is code of 'evil'"),
        (bring_map, "asks for code of its own"),
    ],
)
def test_code_of_a_folder_is_refused_and_never_run(copied, tmp_path, monkeypatch, bring, said):
    monkeypatch.chdir(tmp_path)
    bring(copied)
    with pytest.raises(Invalid, match=said):
        adopt(copied, tmp_path / "run")
    assert not (tmp_path / "RAN").exists() and not (tmp_path / "run").exists()


@breaks("families/pretrained.py", "sha256(folder / name) != known.get(name)", "False")
def test_a_folder_that_changed_is_refused_when_it_is_loaded(copied, tmp_path):
    run = adopt(copied, tmp_path / "run")
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(file)
    tensors["conv_in.bias"] += 1
    safetensors.torch.save_file(tensors, file, {"format": "pt"})
    with pytest.raises(Invalid, match=r"model\.safetensors is not what was adopted"):
        load(run)
    copied.rename(tmp_path / "moved")
    with pytest.raises(NotFound, match="is gone, and with it the weights of this run"):
        load(run)


def test_a_pickle_that_came_later_is_refused_when_it_is_loaded(copied, tmp_path):
    run = adopt(copied, tmp_path / "run")
    (copied / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(Invalid, match="is a pickle"):
        load(run)


def test_no_connection_is_opened(folder, tmp_path, monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("a connection")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = load(adopt(folder, tmp_path / "run"))
    model.sample(1, text=TEXT, **STEPS)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda folder: (folder / "model_index.json").unlink(), "is no pipeline of diffusers"),
        (lambda folder: shutil.rmtree(folder / "unet"), "cannot be opened as a StableDiffusion"),
        (
            lambda folder: edit(folder / "model_index.json", _class_name="WanPipeline"),
            "is a WanPipeline; those that can be adopted are StableDiffusionPipeline",
        ),
    ],
)
def test_what_is_no_pipeline_gets_a_sentence(copied, tmp_path, spoil, said):
    spoil(copied)
    with pytest.raises(Error, match=said):
        adopt(copied, tmp_path / "run")


def test_a_run_that_is_there_is_not_overwritten_and_settings_are_known(folder, run, tmp_path):
    with pytest.raises(Conflict, match="holds something already"):
        adopt(folder, run)
    with pytest.raises(NotFound, match="no setting 'step' of a pipeline; did you mean 'steps'"):
        adopt(folder, tmp_path / "run", {"step": 4})
    with pytest.raises(Invalid, match="20 x 16 are asked for; this pipeline draws multiples of 8"):
        adopt(folder, tmp_path / "run", {"height": 20})
    assert not (tmp_path / "run").exists()


def test_without_the_extra_the_sentence_says_what_to_install(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(Unable, match=r"diffusers.*pip install 'zeuxis\[pretrained\]'"):
        adopt(folder, tmp_path / "run")


def test_distilled_pipelines_draw_in_few_steps(copied, tmp_path):
    assert usual(copied)[:2] == (30, 7.5)
    edit(copied / "scheduler" / "scheduler_config.json", timestep_spacing="trailing")
    assert usual(copied)[:2] == (4, 1.0)
    config = json.loads((adopt(copied, tmp_path / "run") / "config.json").read_text())["config"]
    assert (config["steps"], config["guidance_scale"]) == (4, 1.0)
    edit(copied / "scheduler" / "scheduler_config.json", timestep_spacing="leading")
    assert usual(copied.rename(tmp_path / "sd-Turbo"))[:2] == (4, 1.0)


def test_another_class_says_what_it_cannot(tmp_path, photos):
    folder = write(tmp_path / "consistency", "LatentConsistencyModelPipeline")
    model = load(adopt(folder, tmp_path / "run"))
    assert model.family.config.steps == 4
    assert model.sample(1, text=TEXT).images.shape == (1, SIDE, SIDE, 3)
    assert model.vary(photos, text=TEXT, strength=0.2).images.shape == photos.shape
    with pytest.raises(Unable, match="takes no negative text"):
        model.sample(1, text=TEXT, negative="cat")
    with pytest.raises(Unable, match="LatentConsistencyModelPipeline cannot fill holes"):
        model.complete(photos, np.ones((SIDE, SIDE), np.uint8), text=TEXT)


@breaks("families/pretrained.py", '"strength": controls.strength, **size}', '"strength": 0.6}')
@pytest.mark.parametrize(
    "kind, saved",
    [
        ("StableDiffusionXLPipeline", {"variant": "fp16"}),
        ("StableDiffusion3Pipeline", {}),
        ("FluxPipeline", {}),
    ],
)
def test_every_class_of_the_table_samples_varies_and_completes(tmp_path, photos, kind, saved):
    folder = write(tmp_path / "pipeline", kind, **saved)
    sized = {"steps": 2, "height": SIDE, "width": SIDE}
    model = load(adopt(folder, tmp_path / "run", sized))
    assert model.family.config.half == bool(saved)
    before = torch.get_rng_state()
    two = model.sample(2, text=[*TEXT, "a hat"])
    assert two.images.shape == (2, SIDE, SIDE, 3) and two.images.std() > 0
    assert np.array_equal(model.sample(1, text=TEXT).images, two.images[:1])
    assert differ(model.sample(1, text=["a blue cat"]), model.sample(1, text=TEXT)) > 0
    assert model.sample(1, text=TEXT, height=24, width=32).images.shape == (1, 24, 32, 3)
    varied = model.vary(photos, text=TEXT, strength=0.6)
    assert varied.images.shape == photos.shape
    assert np.array_equal(varied.images[:1], model.vary(photos[:1], text=TEXT, strength=0.6).images)
    mask = np.eye(SIDE, dtype=np.uint8)
    filled = model.complete(photos, mask, text=TEXT).images
    assert np.array_equal(filled[:, mask == 0], photos[:, mask == 0])
    assert np.array_equal(filled[:1], model.complete(photos[:1], mask, text=TEXT).images)
    assert torch.equal(before, torch.get_rng_state())
    if kind == "FluxPipeline":
        said = model.sample(1, text=["red hat " * LONG]).remarks
        assert len(said) == 1 and said[0].startswith("too long a text")
        with pytest.raises(Unable, match="takes no negative text"):
            model.sample(1, text=TEXT, negative="cat")
        with pytest.raises(Invalid, match="multiples of 8"):
            model.sample(1, text=TEXT, height=18)
        edit(folder / "transformer" / "config.json", guidance_embeds=False)
        assert usual(folder)[:2] == (4, 1.0)


def test_the_card_says_whose_the_weights_are_and_the_licence_if_it_is_stated(copied, tmp_path):
    silent = cards.model_card(cards.facts_of(adopt(copied, tmp_path / "a")))
    assert "others have trained" in silent and "Of the weights: not stated" in silent
    (copied / "LICENSE").write_text("\n  CreativeML Open RAIL-M\n\nand more\n")
    of_file = cards.model_card(cards.facts_of(adopt(copied, tmp_path / "b")))
    assert "Of the weights: CreativeML Open RAIL-M" in of_file
    (copied / "README.md").write_text("---\ntags: [x]\nlicense: apache-2.0\n---\n# Model\n")
    run = adopt(copied, tmp_path / "c")
    of_card = cards.model_card(cards.facts_of(run))
    assert "Of the weights: apache-2.0" in of_card and '\nlicense: "apache-2.0"\n' in of_card
    assert str(tmp_path) not in of_card and "unet/diffusion_pytorch_model.safetensors" in of_card
    named = [one["name"] for one in cards.receipt(cards.facts_of(run))["components"]]
    assert "unet/diffusion_pytorch_model.safetensors" in named
    assert "apache-2.0" in (run / "README.md").read_text()


def test_what_cannot_be_done_with_another_s_weights_is_said(run, tmp_path):
    from zeuxis.core.request import Request

    with pytest.raises(Unable, match="pretrained is not trained here"):
        training.train(Request.read({"family": "pretrained", "source": "avatars", "steps": 1}))
    for kind in ("onnx", "folder"):
        with pytest.raises(Unable, match="another's and are not in it"):
            export(run, kind, tmp_path / f"out.{kind}")
    with pytest.raises(Unable, match="nothing to release"):
        release.release(run, "Apache-2.0", "unknown")
    with pytest.raises(Unable, match="a pretrained cannot encode"):
        load(run).encode(np.zeros((1, SIDE, SIDE, 3), np.uint8))


@breaks("evaluation/report/verdict.py", ' or facts.get("family") in ADOPTED', "")
def test_nobody_is_advised_to_train_it(run):
    content = json.loads((run / "config.json").read_text())
    found = advised(Verdict(word="poor", sentence=""), [], run, content)
    assert found.command.startswith("zeuxis sample")


def test_results_say_what_made_them(model, run):
    origin = model.sample(1, text=TEXT, **STEPS).provenance
    assert origin["family"] == "pretrained" and len(origin["weights"]) == 64
    assert origin["text"] == ["red hat"]


@pytest.fixture
def client(run):
    """Of a server in this process that has the run."""
    from tests.server.conftest import TOKEN, Client, addresses, in_a_thread
    from zeuxis.server.app import make
    from zeuxis.server.guard import Guard, Keys
    from zeuxis.server.models import Models

    keys, served = Keys(TOKEN), {"tiny": run}
    models = Models(in_a_thread, queue=4, deadline=300)
    client = Client(Guard(make(models, keys, served), keys, *addresses(8000, None)), None, served)
    yield client
    models.close()
    client.loop.run_until_complete(client.http.aclose())
    client.loop.close()


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))).tobytes()


def test_a_server_gives_the_same_pictures(client, model, photos, tmp_path):
    told = client.get("/api/v1/runs/tiny").json()
    assert set(told["verbs"]) == {"sample", "vary", "complete", "story"} and told["alone"]
    asked = {"count": 2, "seed": 3, "text": "red hat", "controls": {"steps": 2, "negative": "cat"}}
    made = client.post("/api/v1/runs/tiny/sample", json=asked).json()
    drawn = model.sample(2, seed=3, text="red hat", steps=2, negative="cat")
    bare = client.post("/api/v1/runs/tiny/sample", json={**asked, "unmarked": True}).json()
    assert [pixels(one["png"]) for one in bare["images"]] == [i.tobytes() for i in drawn.images]
    assert made["provenance"]["weights"] == drawn.provenance["weights"]
    again = {**asked, "controls": {"steps": 2, "height": 15}}
    assert client.post("/api/v1/runs/tiny/sample", json=again).status_code == 422
    model.sample(1, text=TEXT, **STEPS).write(tmp_path / "one")
    picture = base64.b64encode(next((tmp_path / "one").glob("*.png")).read_bytes()).decode()
    varied = client.post("/api/v1/runs/tiny/vary", json={"images": [picture], "text": "a hat"})
    assert varied.status_code == 200 and len(varied.json()["images"]) == 1


def test_the_commands(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["adopt", str(folder), "runs/tiny", "steps=2"]) == 0
    said = capsys.readouterr().out
    assert "StableDiffusionPipeline, 16 x 16, 2 steps" in said and "not stated" in said
    assert main(["sample", "runs/tiny", "--count", "1", "--text", "red hat", "--out", "one"]) == 0
    assert (
        main(["vary", "runs/tiny", "one", "--text", "a hat", "strength=0.5", "--out", "two"]) == 0
    )
    assert len(list((tmp_path / "two").glob("*.png"))) == 1
    capsys.readouterr()
    assert main(["train", "pretrained", "avatars", "--steps", "1"]) == 2
    assert "not trained here" in capsys.readouterr().err
    assert main(["verify", *map(str, (tmp_path / "two").glob("*.png"))]) in (0, 1)


@pytest.mark.slow
def test_the_installed_command_in_processes_of_its_own(folder, tmp_path):
    def zeuxis(*words):
        words = [sys.executable, "-m", "zeuxis", *words]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert zeuxis("adopt", str(folder), "runs/tiny").returncode == 0
    drawn = zeuxis("sample", "runs/tiny", "--count", "2", "--text", "red hat", "--out", "a")
    assert drawn.returncode == 0 and len(list((tmp_path / "a").glob("*.png"))) == 2
    (folder_copy := tmp_path / "bad").mkdir()
    refused = zeuxis("adopt", str(folder_copy), "runs/bad")
    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1
