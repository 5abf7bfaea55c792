"""Sets of pictures that clients send: the journal is the truth, the folder is a source, names are words."""

import hashlib
import io
import json
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from tests.data.test_people import portrait
from tests.data.test_prepare import photo
from tests.server.conftest import TOKEN
from tests.server.test_guard import POLYGLOTS, STRINGS
from tests.server.test_jobs import REQUEST, work
from tests.server.test_jobs import client as client
from tests.server.test_jobs import icons as icons
from tests.server.test_jobs import jobs as jobs
from tests.support.sabotage import breaks
from zeuxis.core.errors import Invalid, NotFound
from zeuxis.core.pixels import png_bytes
from zeuxis.data.inspection import inspect
from zeuxis.server import datasets as of_datasets
from zeuxis.server import look as of_looks
from zeuxis.server.datasets import Asked, Datasets
from zeuxis.server.findings import RULES
from zeuxis.server.look import look

RAW = {"content-type": "application/octet-stream"}
API = "/api/v1/datasets"


def png(seed, size=(16, 16), channels=3):
    return png_bytes(np.random.default_rng(seed).integers(0, 256, (*size, channels), np.uint8))


class Page:
    """What a page does with a set."""

    def __init__(self, client, name="Mine"):
        self.client = client
        self.url = client.post(API, json={"name": name}).headers["location"]

    def send(self, name, content, **headers):
        named = {**RAW, "zeuxis-file-name": urllib.parse.quote(name), **headers}
        return self.client.post(f"{self.url}/files", content=content, headers=named)

    def facts(self):
        return self.client.get(self.url).json()

    def change(self, revision=None, **body):
        seen = self.facts()["revision"] if revision is None else revision
        headers = {"if-match": f'"{seen}"'}
        return self.client.request("PATCH", f"{self.url}/items", json=body, headers=headers)


@pytest.fixture
def page(client):
    return Page(client)


def looked(jobs, name="mine"):
    """Do what the process that looks does, in this one."""
    one = jobs.sets.get(name)
    one.flush()
    look(str(one.source), one.folder, 0)


@breaks("server/look.py", "after.get(number) == moved", "True")
def test_a_fix_and_its_undo_while_a_process_looks(page, jobs, monkeypatch):
    for number in range(4):
        page.send(f"{number}.png", png(number))
        page.send(f"again-{number}.png", png(number))
    looked(jobs)
    page.send("new.png", png(9))

    def meanwhile(source):
        page.change(fix="duplicates")
        found = inspect(source)
        page.change(undo=True)
        return found

    monkeypatch.setattr(of_looks, "inspect", meanwhile)
    looked(jobs)
    monkeypatch.undo()
    facts = page.facts()
    assert facts["count"] == 9 and facts["pending"] == 4, "they are to be looked at again"
    looked(jobs)
    facts = page.facts()
    copies = next(one for one in facts["findings"] if one["id"] == "duplicates")
    assert (facts["count"], facts["pending"], copies["count"], copies["fixed"]) == (5, 0, 4, False)


TRANSLATION = {"family": "pix2pix", "steps": 1, "evaluate": False, "threads": 1}


@breaks("server/datasets.py", "first.get(item.number, item.number)", "item.number")
def test_two_classes_with_files_of_one_name_are_pairs_to_learn_from(page, jobs):
    for number in range(6):
        page.send(f"set/sketches/{number}.png", png(number))
        page.send(f"set/photos/{number}_photos.png", png(number + 10))
    page.send("set/photos/alone.png", png(99))
    looked(jobs)
    facts = page.facts()
    assert facts["pairs"] == {"kind": "names", "count": 6, "sides": ["sketches", "photos"]}
    assert facts["smallest"] == 16
    said = next(one for one in facts["findings"] if one["id"] == "pairs")
    assert said["sentence"] == "6 pairs: files of sketches and photos that have one name."
    tiny = {"widths": [8, 8], "detail": 4}
    overrides = {"family": tiny, "data": {"pairs": "A:B"}, "training": {"batch_size": 2}}
    asked = {**TRANSLATION, "source": "mine", "overrides": overrides}
    job, _ = jobs.create({"request": asked})
    page.change(items=["000001"], excluded=True)
    work(jobs, job)
    assert job.state() == "finished", job.log()
    made = json.loads((job.run / "dataset.json").read_text())
    assert made["images"]["count"] == 5, "one of a pair was left out"
    assert made["name"] == "mine" and len(_links(jobs)) == 12
    page.change(rename="photos", to="sketches")
    facts = page.facts()
    assert facts["pairs"] is None
    with pytest.raises(Invalid, match="has no two classes"):
        jobs.create({"request": asked})


def _links(jobs):
    return [*(jobs.folder / "datasets" / "mine" / "pairs").glob("*/*/*.png")]


@pytest.mark.parametrize(
    ("names", "size", "pairs"),
    [
        (("1.png", "2.png"), (8, 16), {"kind": "halves", "count": 2, "sides": ["left", "right"]}),
        (("a/1.png", "b/2.png"), (8, 16), {"kind": "apart", "count": 0, "sides": ["a", "b"]}),
        (("a/1.png", "2.png"), (8, 8), None),
    ],
)
def test_what_may_be_learned_between(page, names, size, pairs):
    for number, name in enumerate(names):
        page.send(name, png(number, size))
    assert page.facts()["pairs"] == pairs


def again(jobs):
    """What another server on the folder makes of the set."""
    return Datasets(jobs.folder, {}).get("mine")


@breaks("server/datasets.py", "elsewhere.rename(there)", "pass")
@breaks("server/datasets.py", "self._assign(done.field, done.before)", "pass")
def test_dropped_labelled_mended_undone_and_trained(page, jobs):
    for number in range(8):
        folder = "cats" if number < 5 else "dogs"
        added = page.send(f"{folder}/{number}.png", png(number))
        assert added.status_code == 201 and added.json()["item"]["label"] == folder
    for number in (0, 1):
        page.send(f"dogs/again-{number}.png", png(number))
    bad = page.send("cats/broken.png", b"GIF89a")
    assert bad.status_code == 422 and bad.json()["detail"].startswith("cats/broken.png: ")
    facts = page.facts()
    assert (facts["count"], facts["pending"], facts["revision"]) == (10, 10, 11)
    looked(jobs)
    facts = page.facts()
    assert [(one["id"], one["count"]) for one in facts["findings"]][:2] == [
        ("unreadable", 1),
        ("duplicates", 2),
    ]
    assert (facts["count"], facts["pending"], facts["undo"]) == (8, 0, None)
    assert facts["classes"] == [{"name": "cats", "count": 5}, {"name": "dogs", "count": 5}]
    assert facts["enough"]["level"] == "few"
    changed = page.change(fix="duplicates").json()
    assert [item["name"] for item in changed["items"]] == ["dogs/again-0.png", "dogs/again-1.png"]
    mended = next(one for one in changed["dataset"]["findings"] if one["fixed"])
    assert mended["sentence"] == "2 pictures that were copies of others were left out."
    assert changed["dataset"]["undo"] == "left 2 pictures out"
    source = jobs.folder / "sources" / "mine"
    assert len(list(source.glob("*.png"))) == 8
    assert again(jobs).items() == jobs.sets.get("mine").items()
    undone = page.change(undo=True).json()
    assert [item["excluded"] for item in undone["items"]] == [False, False]
    assert len(list(source.glob("*.png"))) == 10 and page.facts()["findings"][1]["fix"]
    page.change(fix="duplicates")
    page.change(rename="dogs", to="wolves")
    page.change(items=["000001"], label=None)
    page.change(items=["000002"], caption="a cat\u202e")
    jobs.sets.tend()
    facts = inspect(source).facts
    (column,) = facts["conditions"]
    assert dict(zip(column["classes"], column["counts"], strict=True)) == {"cats": 4, "wolves": 3}
    assert facts["captions"] == 1 and facts["images"]["count"] == 8 and not facts["left_out"]
    job, _ = jobs.create({"request": {**REQUEST, "source": "mine"}})
    assert page.client.request("DELETE", page.url).status_code == 409
    work(jobs, job)
    assert job.state() == "finished", job.log()
    assert page.client.request("DELETE", page.url).status_code == 204
    assert page.client.get(page.url).status_code == 404 and not source.exists()
    jobs.sets.close()


def test_a_file_that_is_there_is_not_sent_again(page, jobs):
    content = png(1)
    sha = hashlib.sha256(content).hexdigest()
    ask = {"zeuxis-file-sha256": sha}
    assert page.send("one.png", b"", **ask).status_code == 404
    first = page.send("one.png", content, **ask)
    assert (first.status_code, first.json()["received"]) == (201, sha)
    for body in (b"", content):
        told = page.send("one.png", body, **ask)
        assert told.status_code == 200 and told.json()["item"] == first.json()["item"]
    assert page.send("other.png", content).status_code == 201  # a copy, for the findings to name
    cut = page.send("one.png", content[:-9], **ask)
    assert cut.status_code == 422 and "send them again" in cut.json()["detail"]
    assert page.facts()["revision"] == 2 and page.facts()["unlabelled"] == 2


@breaks("server/datasets.py", "if revision != self.revision:", "if False:")
def test_a_change_of_what_has_changed_is_refused(page):
    page.send("one.png", png(1))
    assert page.change(items=["000001"], label="cat").status_code == 200
    late = page.change(revision=1, items=["000001"], label="dog")
    assert late.status_code == 409 and "revision 2, not 1" in late.json()["detail"]
    (item,) = page.client.get(f"{page.url}/items").json()["items"]
    assert item["label"] == "cat" and page.client.get(page.url).headers["etag"] == '"2"'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"items": ["000001"]}, 422),
        ({"items": ["000001"], "label": "a", "caption": "b"}, 422),
        ({"items": [], "label": "a"}, 422),
        ({"items": ["000001"], "label": " "}, 422),
        ({"items": ["000001"], "label": "a" * 101}, 422),
        ({"items": ["000001"], "label": "a\x00"}, 422),
        ({"items": ["../1"], "label": "a"}, 404),
        ({"items": ["000002"], "excluded": True}, 404),
        ({"rename": "dogs", "to": "cats"}, 404),
        ({"fix": "duplicates"}, 404),
        ({"fix": "nothing"}, 404),
        ({"undo": True}, 409),
        ({"undo": False}, 422),
    ],
)
def test_changes_that_are_none(body, status, page):
    page.send("one.png", png(1))
    told = page.change(**body)
    assert told.status_code == status and told.json()["detail"]
    assert page.facts()["revision"] == 1


def test_what_a_kill_leaves_is_put_right(page, jobs):
    page.send("a/one.png", png(1))
    page.send("a/two.png", png(2))
    one = jobs.sets.get("mine")
    one.change(Asked(items=["000001"], excluded=True), 2)
    (one.folder / "aside" / "000001.png").rename(one.source / "000001.png")  # not yet moved
    (one.source / "000009.png").write_bytes(png(9))  # not yet in the journal
    (one.source / "000010.png.77.tmp").write_bytes(b"x")
    with (one.folder / of_datasets.JOURNAL).open("ab") as file:
        file.write(b'{"set": "label", "ite')
    back = again(jobs)
    assert back.items() == one.items() and back.revision == 3
    assert [path.name for path in back.source.iterdir()] == ["000002.png"]
    back.flush()
    rows = (back.source / "metadata.jsonl").read_text().splitlines()
    assert list(map(json.loads, rows)) == [{"file_name": "000002.png", "label": "a"}]
    assert back.undo(3)[0].excluded is False and len(list(back.source.glob("*.png"))) == 2


def test_pictures_come_by_their_hash_and_never_change(page, client):
    wide = png(1, (8, 300), 4)
    item = page.send("one.png", wide).json()["item"]
    whole = client.get(f"/api/v1/images/{item['sha']}")
    assert hashlib.sha256(whole.content).hexdigest() == item["sha"]
    assert (item["width"], item["height"]) == (300, 8)
    url = f"/api/v1/images/{item['sha']}?size=96"
    for _ in range(2):
        small = client.get(url)
        assert "immutable" in small.headers["cache-control"]
        with Image.open(io.BytesIO(small.content)) as shown:
            assert shown.size == (96, 3) and shown.format == "WEBP"
    same = client.get(url, headers={"if-none-match": small.headers["etag"]})
    assert same.status_code == 304 and not same.content
    page.change(items=[item["id"]], excluded=True)
    assert client.get(f"/api/v1/images/{item['sha']}").content == whole.content
    for bad in ("0" * 64, "..", item["sha"][:-1], item["sha"].upper()):
        assert client.get(f"/api/v1/images/{bad}").status_code == 404
    assert client.get(f"/api/v1/images/{item['sha']}?size=97").status_code == 422


def test_names_never_become_paths(page, client, jobs, tmp_path):
    """InvokeAI 6.13.8, ComfyUI 2026-56671: no name that is sent is a place."""
    before = sorted(path for path in tmp_path.rglob("*") if "studio" not in path.parts)
    told = client.post(API, json={"name": "../../etc"})
    assert told.headers["location"].endswith("/etc") and told.json()["id"] == "etc"
    for at, text in enumerate(STRINGS[::20]):
        made = page.send(text + "/x.png", png(at, (4, 4)))
        assert made.status_code in (201, 422)
        for url in (f"{API}/{text}", f"{API}/{text}/items", f"/api/v1/images/{text}"):
            assert client.raw("GET", url)[0] in (200, 404, 405)
            assert b"root:" not in client.raw("GET", url)[1]
        client.post(API, json={"name": text})
    after = sorted(path for path in tmp_path.rglob("*") if "studio" not in path.parts)
    assert before == after
    (item, *_) = client.get(f"{page.url}/items").json()["items"]
    assert not set(item["name"]) & set("\\") and ".." not in item["name"].split("/")


def test_deleting_takes_ids_and_nothing_else_goes(page, client, tmp_path):
    """InvokeAI 2024-11042: what is deleted is looked up, so no string reaches a file."""
    page.send("one.png", png(1))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    for text in STRINGS:
        for path in (f"{API}/{text}", f"/api/v1/jobs/{text}"):
            assert client.raw("DELETE", path)[0] in (404, 405), path
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


@breaks("core/files.py", 'os.O_RDONLY | os.O_NOFOLLOW), "rb")', 'os.O_RDONLY), "rb")')
def test_a_link_that_takes_a_picture_s_place_is_not_followed(page, client, jobs, tmp_path):
    """ComfyUI#12285: between the check and the reading, a file may become a link."""
    item = page.send("one.png", png(1)).json()["item"]
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(2))
    path = jobs.folder / "sources" / "mine" / "000001.png"
    content, url = path.read_bytes(), f"/api/v1/images/{item['sha']}"
    for _ in range(20):
        path.unlink()
        path.symlink_to(secret)
        assert (
            client.get(url).status_code == 500 and client.get(f"{url}?size=96").status_code == 500
        )
        path.unlink()
        path.write_bytes(content)
        assert client.get(url).content == content


@pytest.mark.parametrize("kind", POLYGLOTS)
def test_what_is_no_picture_is_kept_as_a_sentence(kind, page, jobs):
    told = page.send("x.png", POLYGLOTS[kind])
    assert told.status_code == 422
    assert page.send("x.png", POLYGLOTS[kind]).status_code == 422
    (item,) = page.client.get(f"{page.url}/items").json()["items"]
    assert item["problem"] and item["sha"] is None
    assert not list((jobs.folder / "sources" / "mine").iterdir())
    fixed = page.change(fix="unreadable").json()["dataset"]
    assert fixed["findings"][-1]["sentence"] == "1 file that cannot be read was left out."


def test_bounds(page, client, jobs, monkeypatch):
    monkeypatch.setattr(of_datasets, "MOST_BYTES", 100)
    full = page.send("one.png", png(1))
    assert full.status_code == 507 and "begin another" in full.json()["detail"]
    monkeypatch.undo()
    monkeypatch.setattr(of_datasets, "SPARE", 1 << 60)
    assert page.send("one.png", png(1)).status_code == 507
    assert page.send("", png(1)).status_code == 422
    assert client.post(f"{page.url}/files", content=png(1), headers=RAW).status_code == 422
    assert client.post(API, json={"name": ""}).status_code == 422
    assert client.post(API, json={"nmae": "x"}).status_code == 422
    assert client.post(API, json={"name": "icons"}).json()["id"] == "icons-2"


def test_sets_of_the_server_are_shown_and_stay(client, jobs, icons):
    listed = client.get(API).json()["datasets"]
    assert {one["id"]: one["sample"] for one in listed} == {"icons": True, "avatars": True}
    one = jobs.sets.get("icons")
    assert one.stale()
    look(str(one.source), one.folder, of_datasets.SHOWN)
    facts = client.get(f"{API}/icons").json()
    assert (facts["count"], facts["sample"], facts["pending"]) == (12, True, 0)
    items = client.get(f"{API}/icons/items?limit=5").json()
    assert len(items["items"]) == 5 and items["next"] == "5"
    sha = items["items"][0]["sha"]
    assert client.get(f"/api/v1/images/{sha}?size=96").status_code == 200
    covers = {one["id"]: one["cover"] for one in client.get(API).json()["datasets"]}
    assert len(covers["icons"]) == 4 and covers["avatars"] == []
    headers = {"if-match": '"0"', **RAW, "zeuxis-file-name": "x"}
    for method, url in (("POST", "files"), ("PATCH", "items")):
        told = client.request(method, f"{API}/icons/{url}", headers=headers, content=b"")
        assert told.status_code in (409, 415), told.text
    assert client.request("DELETE", f"{API}/icons").status_code == 409
    with pytest.raises(NotFound):
        jobs.sets.get("nothing")


def test_findings_of_pixels_and_of_words(page, jobs):
    page.send("a/flat.png", png_bytes(np.full((16, 16, 3), 7, np.uint8)))
    page.send("a/tiny.png", png(0, (2, 2)))
    for number in range(20):
        page.send(f"{'b' if number else 'c'}/{number}.png", png(number))
    page.change(items=["000003"], caption="one")
    looked(jobs)
    told = {one["id"]: one for one in page.facts()["findings"]}
    assert told["blank"]["sentence"] == "1 picture shows one colour and nothing else."
    assert told["unreadable"]["count"] == 1 and told["uneven"]["count"] == 1
    assert told["uncaptioned"]["count"] == 20 and not told["uneven"]["fix"]
    order = [one["severity"] for one in page.facts()["findings"]]
    assert order == sorted(order, key=["bad", "fair", "note"].index)
    assert page.change(fix="blank").json()["items"][0]["name"] == "a/flat.png"


@breaks("server/look.py", ', "faces")', ")")
def test_faces_are_a_finding_that_says_what_training_will_ask(page, jobs):
    for number in range(30):
        shown = portrait(number) if number < 3 else photo(number)
        page.send(f"{number}.png", png_bytes(np.asarray(shown)))
    looked(jobs)
    (told,) = [one for one in page.facts()["findings"] if one["id"] == "faces"]
    assert told["sentence"] == (
        "Faces were found in 3 of 30 that were looked at (10.0 %; 95 % interval 3.5 to 25.6 %): "
        "training will ask why pictures of people may be used."
    )
    assert (told["severity"], told["count"], told["fix"]) == ("fair", 3, None)
    page.change(items=["000001", "000002"], excluded=True)
    looked(jobs)
    (told,) = [one for one in page.facts()["findings"] if one["id"] == "faces"]
    assert told["severity"] == "note" and told["sentence"].endswith("interval 0.6 to 17.7 %).")


def test_every_reason_of_an_inspection_is_some_finding():
    reasons = [reason for _, reasons, *_ in RULES.values() for reason in reasons]
    assert len(reasons) == len(set(reasons)) and {"blank", "duplicate", "near duplicate"} <= {
        *reasons
    }


def test_the_set_needs_the_token(client):
    for method, url in (("GET", API), ("POST", API), ("PATCH", f"{API}/x/items")):
        assert client.request(method, url, headers={"authorization": TOKEN}).status_code == 401
