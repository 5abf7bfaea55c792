"""Cards that fill themselves from what a run has written down; what is not known is "not stated".

Of the model, Markdown with the hub's front matter; of its data, Croissant 1.0; of its training, CycloneDX
1.6. Names of folders of whoever trained are left out.
"""

import dataclasses
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from zeuxis import families
from zeuxis.core.errors import Invalid
from zeuxis.core.files import read_json
from zeuxis.core.words import code, printable
from zeuxis.data.preparation.people import read as read_register
from zeuxis.data.preparation.warn import faces_said
from zeuxis.inference import artefact

UNSTATED = "not stated"
WEIGHTS = ".safetensors"
CARD, DATA, RECEIPT = "README.md", "croissant.json", "bom.cdx.json"
TASKS = {"generate": "unconditional-image-generation"}
"""What the hub calls what a family shows; all else is image-to-image."""
LICENCES = {
    "apache-2.0",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "gpl-3.0",
    "openrail",
    "unlicense",
    "unknown",
}
"""Those of the hub's names that it is given as they are; any other is "other" with its name."""
LIMITS = (
    "It draws what resembles its training data, with that data's gaps and biases; how it behaves "
    "on other pictures was not measured."
)
MARKING = (
    "Pictures that Zeuxis writes by this model carry IPTC metadata that calls them AI-generated, "
    "an invisible watermark where their size allows one, and C2PA credentials where these are "
    "installed. Arrays in memory, and raw output of the weights in other programs, carry nothing: "
    "mark it yourself. `zeuxis verify FILE` reads the marks."
)
MISUSE = (
    "Do not use it to show real people without their consent, to show anybody in a sexual way, or "
    "to pass pictures off as photographs."
)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a run.

    Attributes:
        config: the artefact's `config.json`.
        data: `dataset.json`.
        run: `run.json`; empty of an artefact that came without.
        report: `report.json`; empty if it was not measured.
        licence: of the model.
        data_licence: of what it was trained on.
        people: whether pictures show real people, and on what ground.
        retrain: why it is to be trained again, if it is.
    """

    config: Mapping[str, Any]
    data: Mapping[str, Any]
    run: Mapping[str, Any]
    report: Mapping[str, Any]
    licence: str = ""
    data_licence: str = ""
    people: str = ""
    retrain: str = ""

    @property
    def family(self) -> str:
        """Name of the family."""
        return str(self.config["family"])

    @property
    def weights(self) -> str:
        """SHA-256 of the file of weights."""
        return str(self.config["files"][artefact.weights(self.config)])

    @property
    def name(self) -> str:
        """Of the model: the family's and the data's."""
        adopted = self.config.get("adopted", {})
        if adopted.get("name"):
            return str(adopted["name"])
        return f"{self.family}-{plain(self.data.get('name') or 'model')}"

    @property
    def of_data(self) -> str:
        """The licence of the data as stated, or as its source states it."""
        return self.data_licence or str(self.data.get("licence") or "")

    def measured(self) -> Iterator[tuple[str, float, tuple[float, float] | None, int]]:
        """Measure, value, interval and number of images of each estimate."""
        for name, one in self.report.get("estimates", {}).items():
            shown = "_of_real" not in name and not name.startswith("shift_")
            if shown and isinstance(one.get("value"), int | float):
                interval = one.get("interval")
                yield name, one["value"], tuple(interval) if interval else None, one.get("n", 0)


def facts_of(run: Path, licence: str = "", data_licence: str = "", people: str = "") -> Facts:
    """What is known of a run, after its artefact was checked.

    Raises:
        Invalid: it is no artefact, or is damaged.
    """
    config = artefact.read(run)
    data = config.pop("dataset", {})
    asked, report = (
        read_json(run / name, finite=False) if (run / name).is_file() else {}
        for name in ("run.json", "report.json")
    )
    retrain = withdrawn(asked)
    licence = licence or str(config.get("adopted", {}).get("licence") or "")
    return Facts(config, data, asked, report, licence, data_licence, people, retrain)


def plain(value: Any) -> Any:
    """JSON values without the folders of paths in them."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, str) and ("/" in value or "\\" in value) and "://" not in value:
        return PurePath(value.replace("\\", "/")).name
    return value


def model_card(facts: Facts) -> str:
    """README.md of a model."""
    if facts.family in families.ADOPTED:
        return _written(facts, _of_adopted(facts))
    config, data = facts.config["config"], facts.data
    progress, machine = facts.config.get("progress", {}), facts.config.get("machine", {})
    size = f"{config['height']} x {config['width']} pixels, {config['channels']} channel(s)"
    conditions = ", ".join(printable(one["name"]) for one in config["conditions"]) or "none"
    count = data.get("images", {}).get("count")
    images = f"{count:,} images" if isinstance(count, int) else UNSTATED
    trained = " with ".join(
        str(machine[key]) for key in ("device", "processor") if machine.get(key)
    )
    seconds = progress.get("seconds")
    minutes = f"{seconds / 60:.1f} minutes" if isinstance(seconds, int | float) else UNSTATED
    groups = facts.report.get("balance") or facts.report.get("groups")
    sections = {
        f"{facts.name}": f"A `{facts.family}` that was trained with Zeuxis {facts.config.get('zeuxis', '')}: "
        f"{size}; conditions: {conditions}. Use: `{artefact.usage(facts.family, '.')}`, or "
        '`zeuxis.load(".")` in Python.',
        "Data": f"- Data set: {printable(plain(str(data.get('name') or UNSTATED)))}, {images}\n"
        f"- Licence: {printable(facts.of_data) or UNSTATED}\n"
        f"- Credits: {printable(str(data.get('credits') or UNSTATED))}\n"
        f"- People in the pictures, and their consent: {printable(facts.people) or UNSTATED}\n"
        f"- Faces: {_faces(facts)}\n"
        f"- Hash: `{data.get('hash', UNSTATED)}`; held out: {data.get('split', {}).get('holdout', UNSTATED)}",
        "Training": f"- {progress.get('images', UNSTATED)} images seen in {progress.get('steps', UNSTATED)} "
        f"steps, {minutes}, {trained or UNSTATED}\n"
        f"- Weights, SHA-256: `{facts.weights}`\n- Energy: {UNSTATED}\n"
        f"- The same as data: `{RECEIPT}`",
        "Results": _results(facts),
        "Results by group": json.dumps(groups) if groups else UNSTATED.capitalize() + ".",
        "Copies of training images": _copies(facts),
        "Limits": LIMITS,
        "Marking": MARKING,
        "Misuse": MISUSE,
    }
    return _written(facts, sections)


def _of_adopted(facts: Facts) -> dict[str, str]:
    """Sections of the card of a model that others have trained."""
    config, name = facts.config["config"], facts.name
    hashes = [
        f"- {code(file)}: `{h}`" for file, h in config["files"].items() if file.endswith(WEIGHTS)
    ]
    return {
        name: f"A `{config['pipeline']}` of diffusers that others have trained: {config['height']} x "
        f"{config['width']} pixels. The weights are theirs and are not in this folder. Use: "
        f'`zeuxis sample . --text "a red cat"`, or `zeuxis.load(".")` in Python.',
        "Licence": f"Of the weights: {printable(facts.licence) or UNSTATED}. Zeuxis' own licence says "
        "nothing of them.",
        "Data": UNSTATED.capitalize() + ": see what whoever trained it says.",
        "Weights": "SHA-256 when they were adopted:\n\n" + "\n".join(hashes),
        "Results": _results(facts),
        "Limits": LIMITS,
        "Marking": MARKING,
        "Misuse": MISUSE,
    }


def _written(facts: Facts, sections: Mapping[str, str]) -> str:
    """A card, under the hub's front matter."""
    body = "\n\n".join(
        f"{'#' if row == 0 else '##'} {title}\n\n{text}"
        for row, (title, text) in enumerate(sections.items())
    )
    return f"---\n{_front(facts)}---\n\n{body}\n"


def _faces(facts: Facts) -> str:
    """How many pictures show faces, why they may be used, and whether somebody has changed their mind."""
    known = facts.run.get("faces")
    if not known:
        return UNSTATED
    if known["ground"] == "consented":
        why = f"{len(known['subjects'])} people consented, by a register with SHA-256 `{known['sha256']}`"
    else:
        why = (
            f"used because: {printable(known['reason'])}" if known["reason"] else "no ground needed"
        )
    return f"{faces_said(known)}; {why}{facts.retrain and f'. **{facts.retrain}**'}"


def withdrawn(asked: Mapping[str, Any]) -> str:
    """Whether a model is to be trained again, by its register of consent as it is now; "" if not.

    Args:
        asked: `run.json`.
    """
    known = asked.get("faces") or {}
    if known.get("ground") != "consented":
        return ""
    try:
        register = read_register(known["register"])
    except Invalid:
        return "Its register of consent is not where it was: whether consent was revoked since is not known"
    back = {entry.subject for entry in register.entries if entry.revoked} & {*known["subjects"]}
    if not back:
        return ""
    return f"To be trained again: {len(back)} of {len(known['subjects'])} people revoked their consent since"


def _front(facts: Facts) -> str:
    """The hub's front matter; each value is JSON, which is YAML as well."""
    licence = (facts.licence or "unknown").lower()
    known = licence in LICENCES
    named = {} if known else {"license_name": facts.licence}
    task = TASKS.get(families.get(facts.family).shows() or "", "image-to-image")
    task = "text-to-image" if facts.family in families.ADOPTED else task
    data = {"type": "image", "name": plain(facts.data.get("name") or UNSTATED)}
    metrics = [{"type": n, "value": v, "name": n} for n, v, _, _ in facts.measured()]
    kind = {"type": task, "name": task.replace("-", " ")}
    results = [{"task": kind, "dataset": data, "metrics": metrics}] if metrics else []
    matter: dict[str, Any] = {
        "license": licence if known else "other",
        **named,
        "library_name": "zeuxis",
        "pipeline_tag": task,
        "tags": ["zeuxis", facts.family, "image-generation"],
        "datasets": [data["name"]],
        "metrics": [one["type"] for one in metrics],
    }
    matter |= {"model-index": [{"name": facts.name, "results": results}]} if results else {}
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in matter.items())


def _results(facts: Facts) -> str:
    rows = list(facts.measured())
    if not rows:
        return UNSTATED.capitalize() + "."
    verdict = printable(str(facts.report.get("verdict", {}).get("sentence", "")))
    table = ["| measure | value | 95 % interval | images |", "|---|---|---|---|"]
    for name, value, interval, n in rows:
        between = f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else UNSTATED
        table.append(f"| {name} | {value:.4g} | {between} | {n} |")
    return f"{verdict}\n\n" + "\n".join(table)


def _copies(facts: Facts) -> str:
    scores = facts.report.get("scores", {})
    rates = {n: scores[n] for n in ("copy_rate", "exact_copy_rate") if n in scores}
    listed = "; ".join(f"{name}: {rate:.4g} of the samples" for name, rate in rates.items())
    return (listed or UNSTATED.capitalize()) + "."


CROISSANT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that Croissant 1.0 prescribes."""


def data_card(facts: Facts) -> dict[str, Any]:
    """The data that a model was trained on, in Croissant 1.0 (mlcommons.org/croissant/1.0)."""
    data = facts.data
    images = data.get("images", {})
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{one['bytes']} B",
            "encodingFormat": "application/octet-stream",
            "sha256": one["sha256"],
        }
        for name, one in data.get("files", {}).items()
    ]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"records/{one['name']}",
            "name": one["name"],
            "dataType": "sc:ImageObject" if one["kind"] == "image" else "sc:Text",
            "source": {
                "fileObject": {"@id": one["file"]},
                "extract": {"fileProperty": "content"},
            },
        }
        for one in data.get("fields", ())
        if one.get("file") in data.get("files", {})
    ]
    records = [{"@type": "cr:RecordSet", "@id": "records", "name": "records", "field": fields}]
    size = "{height} x {width} x {channels}".format(**images) if images else UNSTATED
    return {
        "@context": CROISSANT,
        "@type": "sc:Dataset",
        "name": plain(data.get("name") or UNSTATED),
        "description": f"{images.get('count', UNSTATED)} images of {size}, prepared by Zeuxis; the files lie "
        "where they were prepared and are known by their hashes.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": facts.of_data or UNSTATED,
        "creditText": str(data.get("credits") or UNSTATED),
        "url": f"urn:sha256:{data.get('hash', '')}",
        "version": "1.0.0",
        "citeAs": UNSTATED,
        "datePublished": str(facts.config.get("started", UNSTATED)),
        "distribution": files,
        "recordSet": records if fields else [],
        "rai:dataCollection": UNSTATED,
        "rai:dataBiases": UNSTATED,
        "rai:personalSensitiveInformation": facts.people or UNSTATED,
    }


def _files(facts: Facts) -> Iterator[dict[str, Any]]:
    """Those of a model that others have trained, which it is made of."""
    for name, digest in facts.config["config"].get("files", {}).items():
        hashes = [{"alg": "SHA-256", "content": digest}]
        yield {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": hashes}


def receipt(facts: Facts) -> dict[str, Any]:
    """What went into a model, as a bill of materials in CycloneDX 1.6 (ECMA-424)."""
    data, machine = facts.data, facts.config.get("machine", {})
    dataset = plain(data.get("name") or UNSTATED)
    scores = [
        {
            "type": name,
            "value": f"{value:.6g}",
            **(
                {"confidenceInterval": {"lowerBound": f"{low:.6g}", "upperBound": f"{high:.6g}"}}
                if (low, high) != (None, None)
                else {}
            ),
        }
        for name, value, interval, _ in facts.measured()
        for low, high in [interval or (None, None)]
    ]
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": facts.name,
        "version": facts.weights[:12],
        "hashes": [{"alg": "SHA-256", "content": facts.weights}],
        "licenses": [{"license": {"name": facts.licence or UNSTATED}}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "self-supervised"},
                "task": families.get(facts.family).shows() or UNSTATED,
                "architectureFamily": facts.family,
                "datasets": [{"ref": "data"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": scores},
        },
    }
    source = {
        "type": "data",
        "bom-ref": "data",
        "name": dataset,
        "licenses": [{"license": {"name": facts.of_data or UNSTATED}}],
        "data": [{"type": "dataset", "name": dataset}],
    }
    source |= {"hashes": [{"alg": "SHA-256", "content": data["hash"]}]} if data.get("hash") else {}
    versions = {"zeuxis": facts.config.get("zeuxis"), **data.get("versions", {}), **machine}
    libraries = [
        {"type": "library", "bom-ref": name, "name": name, "version": str(versions[name])}
        for name in ("zeuxis", "torch", "numpy", "pillow")
        if versions.get(name)
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, facts.weights)}",
        "version": 1,
        "metadata": {"component": model},
        "components": [source, *_files(facts), *libraries],
        "dependencies": [
            {"ref": "model", "dependsOn": ["data", *(one["bom-ref"] for one in libraries)]}
        ],
    }
