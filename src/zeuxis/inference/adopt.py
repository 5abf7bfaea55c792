"""A run of another's pipeline: what it is and where it lies, without a copy of its weights."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeuxis.core import pipelines
from zeuxis.core.errors import Conflict, NotFound
from zeuxis.core.files import sha256
from zeuxis.core.progress import Progress
from zeuxis.core.settings import checked, override, suggest
from zeuxis.families.pretrained import Pretrained, PretrainedConfig
from zeuxis.inference import artefact

NAME = "pretrained"
TURNED = ("height", "width", "steps", "guidance_scale")
"""Settings that can be chosen when a pipeline is adopted."""


def adopt(
    folder: str | Path,
    run: str | Path,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a run of a pipeline that `save_pretrained` of diffusers wrote; the run's folder.

    The pipeline stays where it is; the run holds its path and the SHA-256 of its files.

    >>> adopt("sd-turbo", "runs/sd-turbo", {"steps": 2})  # doctest: +SKIP

    Args:
        folder: of the pipeline.
        run: a new folder.
        settings: of `TURNED`, as values or words, in place of what suits the pipeline.
        progress: told of the files that are hashed.

    Raises:
        NotFound: there is no pipeline, or no such setting.
        Invalid: it brings code or pickles, cannot be opened, is none of those that are known, or draws no
            images of the size that is asked for.
        Conflict: the run's folder holds something.
        Unable: diffusers is not installed.
    """
    folder, run = Path(folder).resolve(), Path(run)
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise Conflict(f"{run} holds something already; name a new folder for the run")
    pipelines.needed()
    for name in settings or ():
        if name not in TURNED:
            raise NotFound(f"no setting {name!r} of a pipeline; {suggest(name, TURNED)}")
    names = pipelines.files_of(folder)
    side, usual = pipelines.side(folder), pipelines.usual(folder)
    hashes = {}
    for done, name in enumerate(names):
        hashes[name] = sha256(folder / name)
        if progress:
            progress(done + 1, len(names))
    known = {
        "height": side,
        "width": side,
        "channels": 3,
        "folder": str(folder),
        "pipeline": pipelines.index_of(folder)["_class_name"],
        "files": hashes,
        "half": pipelines.is_half(folder),
        "steps": usual.steps,
        "guidance_scale": usual.guidance_scale,
    }
    config = checked(PretrainedConfig, known, folder)
    model = Pretrained(override(config, {k: str(v) for k, v in (settings or {}).items()}))
    model.open()
    model.check_size(model.config.height, model.config.width)
    adopted = {"name": folder.name, "licence": pipelines.licence(folder)}
    artefact.save(
        run,
        NAME,
        model,
        dict(model.named_buffers(recurse=False)),
        adopted=adopted,
        dataset={},
        finished=time.strftime("%Y-%m-%d"),
    )
    return run
