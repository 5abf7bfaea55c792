"""A request of training is a value: from Python, from JSON, from the command line; copied by a contest."""

import pytest

import zeuxis
from tests.support.sabotage import breaks
from zeuxis.core.request import Request, nested
from zeuxis.training import contest, run

GIVEN = {"family": "gan", "source": "photos", "minutes": 2.0}


def test_a_request_survives_json():
    request = Request.read(
        {**GIVEN, "overrides": {"family": {"width": 64}, "training": {"betas": [0, 0.9]}}}
    )
    assert Request.read(request.model_dump_json()) == request
    assert request.overrides.paths() == {"family.width": "64", "training.betas": "0,0.9"}
    with pytest.raises(ValueError, match="frozen"):
        request.seed = 1


@breaks(
    "core/request.py",
    'return _known(given, cls.model_fields, "setting of a request")',
    "return given",
)
@pytest.mark.parametrize(
    "more, said",
    [
        ({"minuts": 3}, "no setting of a request 'minuts'; did you mean 'minutes'?"),
        (
            {"overrides": {"trainig": {}}},
            "no part of the settings 'trainig'; did you mean 'training'?",
        ),
        ({"overrides": {"data": {"sise": 64}}}, r"no setting data\.sise; did you mean 'size'?"),
        ({"overrides": {"training": {"lr": "much"}}}, "training.lr is a number, not 'much'"),
        ({"overrides": {"training": {"lr": -1}}}, "training.lr: Input should be greater than 0"),
        ({"steps": 10}, "found both minutes and steps; give one of them"),
        ({"overrides": {"training": {"steps": 10}}}, "found both minutes and steps"),
        ({"minutes": 0.0}, "minutes is a positive number, not 0"),
        ({"minutes": None, "steps": 0}, "steps: Input should be greater than or equal to 1"),
        ({"keep": "first"}, "keep: Input should be 'last' or 'best'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(more, said):
    with pytest.raises(zeuxis.core.errors.Invalid) as error:
        Request.read({**GIVEN, **more})
    assert said.replace("\\", "") in str(error.value) and "\n" not in str(error.value)


def test_every_setting_says_what_it_is():
    for schema in (Request, type(Request.read(GIVEN).overrides)):
        assert all(field.description for field in schema.model_fields.values())


@pytest.fixture
def asked(monkeypatch):
    """Requests that would have been trained."""
    seen = []
    monkeypatch.setattr(run, "train", lambda request, *_: seen.append(request))
    monkeypatch.setattr(contest, "train", lambda request, *_: seen.append(request))
    monkeypatch.setattr(contest, "_entry", lambda *_: None)
    return seen


def test_keywords_and_words_and_values_make_the_same_request(asked, tmp_path):
    for lr in ("0.5", 0.5):
        zeuxis.train("gan", tmp_path, out=tmp_path / "run", overrides={"training.lr": lr})
    words, values = asked
    assert words.overrides.paths() == values.overrides.paths() == {"training.lr": "0.5"}
    assert words.out == str(tmp_path / "run") and words.source == str(tmp_path)


@breaks("training/contest.py", '"out": str(folder / name)', '"out": None')
def test_a_contest_asks_the_same_of_each_family(asked, tmp_path):
    with pytest.raises(AttributeError):  # there are no entries to lay out
        contest.compare_families(
            "photos", ["gan", "vae"], out=tmp_path, seed=3, overrides={"data.size": "8"}
        )
    first, second = asked
    assert first.model_copy(update={"family": "vae", "out": str(tmp_path / "vae")}) == second
    assert (first.family, first.seed, first.overrides.data) == ("gan", 3, {"size": "8"})


def test_paths_are_sorted_into_parts():
    assert nested({"family.width": 64, "data.size": "8"}) == {
        "family": {"width": 64},
        "data": {"size": "8"},
        "training": {},
    }
    with pytest.raises(zeuxis.core.errors.NotFound, match="settings start with family"):
        nested({"fmaily.width": 64})
