"""Whether a set that shows people may be trained on: what is asked, and what a run keeps of the answer."""

from typing import Any

from zeuxis.core.errors import Invalid
from zeuxis.core.request import Request
from zeuxis.data import Prepared
from zeuxis.data.preparation.people import of_set
from zeuxis.data.preparation.warn import MOST, faces_said, many_faces


def checked(request: Request, prepared: Prepared, earlier: dict[str, Any] | None) -> dict[str, Any]:
    """What `run.json` says of faces.

    Args:
        request: gives the ground.
        prepared: the set.
        earlier: what the run said of it when it began; it need not be given again.

    Raises:
        Invalid: too many pictures show faces and no ground is given, or the register of consent lacks some.
    """
    if earlier and request.faces is None:
        return earlier
    found = of_set(prepared)
    word, given = request.ground()
    if not word and many_faces(found):
        raise Invalid(
            f"faces were found in {faces_said(found)}, above {100 * MOST:.0f} %: give "
            "--faces consented=REGISTER if the people agreed, else why it is right to train on them, "
            'such as --faces acknowledged="drawings, no real people"; '
            "it is kept in the run and its card (docs/responsible-use.md)"
        )
    if word == "consented":
        consent = prepared.facts["consent"]
        missing = consent["missing"]
        if missing["count"]:
            raise Invalid(
                f"{given} does not name {missing['count']:,} of the pictures in which faces were found, the "
                f"first {missing['first'][0]}; add them to it, or leave them out"
            )
        kept = {"register": given, "sha256": consent["sha256"], "subjects": consent["subjects"]}
        return {**found, "ground": word, **kept}
    return {**found, "ground": word, "reason": given}
