"""Stories: one subject, one noise, a caption for each frame, and a page."""

import json

import numpy as np
import pytest

from tests.support.front import zeuxis
from tests.support.kit import WORDS, build, wake
from tests.support.sabotage import breaks
from zeuxis.inference import artefact
from zeuxis.inference.model import BATCH, load

SCRIPT = ["a <", "red", "blue", "red"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    def run(name):
        folder = tmp_path_factory.getbasetemp() / "stories" / name
        if not folder.exists():
            family = wake(
                build(name, text=WORDS.model_copy(update={"length": 24})),
                0.3 if name == "flow" else 1.0,
            )
            dataset = {"labels": [[[0, 1], 1], [[2, 0], 1]], "examples": [["a dog", []]]}
            artefact.save(folder, name, family, family.state_dict(), dataset=dataset)
        return folder

    return run


@breaks("inference/verbs/stories.py", "seed, slice(0, 1)", "seed, slice(1, 2)")
@breaks("inference/verbs/stories.py", "1, seed).repeat(count, 0)", "count, seed)")
@pytest.mark.parametrize("name", ["flow", "illustrate"])
def test_frames_differ_by_their_captions_alone(name, runs):
    model = load(runs(name))
    made = model.story([*SCRIPT, *["red"] * (1 if name == "flow" else BATCH)], seed=5)
    assert made.texts[:2] == ["a <, red", "a <, blue"]
    assert (made.images[0] == made.images[2]).all() and (made.images[0] == made.images[-1]).all()
    assert (made.images[0] != made.images[1]).any()
    first = model.sample(1, seed=5, labels=made.labels[:1], text="a <, red")
    assert (first.images[0] == made.images[0]).all()
    assert (model.story(SCRIPT, seed=6).images[0] != made.images[0]).any()


@breaks("inference/story.py", "html.escape(self.subject)", "self.subject")
def test_a_story_is_a_folder_with_a_page_and_a_strip(runs, tmp_path, capsys):
    script, out = tmp_path / "script.txt", tmp_path / "out"
    script.write_text("\n".join(SCRIPT[:3]) + "\n", "utf-8")
    asked = ["--seed", 5, "--out", out, "--grid", tmp_path / "strip.png", "--unmarked"]
    assert zeuxis("story", runs("flow"), script, *asked) == 0
    assert f"wrote the page {out}" in capsys.readouterr().out.replace("\n", "")
    page = (out / "story.html").read_text("utf-8")
    assert page.count("<figure>") == 2 and "<h1>a &lt;</h1>" in page
    assert "<figcaption>blue</figcaption>" in page and 'src="0001.png"' in page
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == ["a <, red", "a <, blue"]
    assert (tmp_path / "strip.png").is_file()


@breaks("inference/verbs/stories.py", 'images[1:] = frames("vary"', 'frames("vary"')
def test_frames_may_be_made_of_the_first(runs):
    model = load(runs("flow"))
    plain, varied = (
        model.story(SCRIPT, seed=5, steps=4),
        model.story(SCRIPT, seed=5, vary=0.3, steps=4),
    )
    assert (plain.images[0] == varied.images[0]).all()
    assert (plain.images[1] != varied.images[1]).any()
    far = model.story(SCRIPT, seed=5, vary=1.0, steps=4)
    away = [np.abs(one.images[1].astype(float) - one.images[0]).mean() for one in (varied, far)]
    assert away[0] < away[1]


@breaks("inference/story.py", 'prefix=f"{text},"', 'prefix=""')
def test_a_family_that_captions_adds_what_it_sees_in_the_first_frame(runs):
    model = load(runs("illustrate"))
    script = ["a", "red", "blue"]
    plain, told = model.story(script, seed=5), model.story(script, seed=5, describe=True)
    assert told.texts[0] == plain.texts[0] and (told.images[0] == plain.images[0]).all()
    seen = model.caption(plain.images[:1], prefix="a, blue,").texts[0]
    assert told.texts[1].startswith(seen) and len(seen) > len("a, blue,")
    assert list(told.scenes) == script[1:]


@pytest.mark.parametrize(
    ("name", "script", "asked", "why"),
    [
        ("flow", ["a cat"], {}, "the script has 1 lines; write who it is about"),
        ("flow", SCRIPT, {"vary": 2.0}, "vary is 2; expected a strength above 0"),
        ("illustrate", SCRIPT, {"vary": 0.5}, "illustrate cannot vary its first frame"),
        ("flow", SCRIPT, {"describe": True}, "flow cannot say what it sees"),
        ("flow", [3, 4], {}, "expected a text, or a list of texts"),
    ],
)
def test_bad_scripts_get_one_sentence(name, script, asked, why, runs):
    with pytest.raises(ValueError, match=why):
        load(runs(name)).story(script, **asked)
