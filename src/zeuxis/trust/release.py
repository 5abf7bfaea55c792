"""A release: cards beside a trained model, and one signed statement of the hashes of all of its files.

The statement is in-toto's (in-toto.io/Statement/v1) with SLSA's predicate (slsa.dev/provenance/v1): what went
in, as hashes, and what came out. It is signed in a DSSE envelope by the key that signs pictures
(`marks.credentials`).
"""

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeuxis.core.errors import Invalid, NotFound, Unable
from zeuxis.core.files import json_text, parse_json, read_json, sha256, write_file, write_json
from zeuxis.families import ADOPTED
from zeuxis.inference import artefact
from zeuxis.marks import credentials
from zeuxis.trust import cards

STATEMENT = "release.dsse.json"
PAYLOAD = "application/vnd.in-toto+json"
UNKNOWN = "unknown"
"""What is typed where a licence is not known; a release then says so."""


def write_cards(
    run: Path, licence: str = "", data_licence: str = "", people: str = ""
) -> cards.Facts:
    """Write the three cards of a run, unsigned; an earlier release is then no longer true and goes.

    Args:
        run: folder that `zeuxis train` wrote.
        licence: of the model.
        data_licence: of what it was trained on; by default what its source states.
        people: whether pictures show real people, and on what ground.

    Raises:
        Invalid: it holds no trained model, or is damaged.
    """
    facts = cards.facts_of(run, licence, data_licence, people)
    (run / STATEMENT).unlink(missing_ok=True)
    card = cards.model_card(facts)
    write_file(run / cards.CARD, lambda beside: beside.write_text(card, encoding="utf-8"))
    write_json(run / cards.DATA, cards.data_card(facts))
    write_json(run / cards.RECEIPT, cards.receipt(facts))
    return facts


def release(run: Path, licence: str, data_licence: str = "", people: str = "") -> list[Path]:
    """Write the cards and sign the hashes of all files of a model; the files that it wrote.

    Raises:
        Invalid: no licence and no stated unknown, of the model or of its data, or no trained model.
        Unable: the extra `credentials` is missing.
    """
    if _is_run(run) and artefact.read(run)["family"] in ADOPTED:
        raise Unable(
            f"the weights of {run} are another's and are not in it, so there is nothing to release; "
            "`zeuxis card` writes what is known of them"
        )
    stated = str(read_json(run / "dataset.json").get("licence") or "") if _is_run(run) else ""
    for what, given, option in (
        ("the model", licence, "--licence"),
        ("its data", data_licence or stated, "--data-licence"),
    ):
        if not given.strip():
            raise Invalid(
                f"no licence of {what} is stated; give {option}, such as {option} Apache-2.0, or "
                f"{option} {UNKNOWN} to say in the card that it is not known"
            )
    asked = read_json(run / "run.json", finite=False) if (run / "run.json").is_file() else {}
    if retrain := cards.withdrawn(asked):
        raise Invalid(f"{run}: {retrain}; a release needs everybody's consent")
    me = credentials.identity()
    facts = write_cards(run, licence, data_licence, people)
    payload = json_text(statement(run, facts)).encode()
    envelope = {
        "payloadType": PAYLOAD,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"sig": _sign(me, payload), "cert": me.chain.decode()}],
    }
    write_json(run / STATEMENT, envelope)
    return [run / name for name in (cards.CARD, cards.DATA, cards.RECEIPT, STATEMENT)]


def _is_run(run: Path) -> bool:
    return (run / "dataset.json").is_file()


def subjects(run: Path) -> dict[str, str]:
    """Name and SHA-256 of each file of a model: its artefact, those of its parts, and the cards."""
    files = ["config.json", cards.CARD, cards.DATA, cards.RECEIPT]
    files += artefact.read(run)["files"]
    parts = run / "parts"
    files += [str(path.relative_to(run)) for path in sorted(parts.rglob("*")) if path.is_file()]
    return {name: sha256(run / name) for name in files}


def statement(run: Path, facts: cards.Facts) -> dict[str, Any]:
    """What is signed: which files came out, and of what they were made."""
    asked = facts.run.get("request", {})
    request = {name: cards.plain(value) for name, value in asked.items()}
    if "config" in asked:  # a class may be called n/a, and is no path
        whole = {n: v for n, v in asked["config"].items() if not isinstance(v, str)}
        request["config"] |= whole
    data = {"name": cards.plain(facts.data.get("name") or cards.UNSTATED)}
    data |= {"digest": {"sha256": facts.data["hash"]}} if facts.data.get("hash") else {}
    parts = [
        {"name": f"parts/{name}/config.json", "digest": {"sha256": digest}}
        for name, digest in facts.config.get("parts", {}).items()
    ]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in subjects(run).items()
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:zeuxis:train:1",
                "externalParameters": request,
                "internalParameters": {
                    "licence": facts.licence,
                    "data_licence": facts.of_data,
                    "people": facts.people or cards.UNSTATED,
                },
                "resolvedDependencies": [data, *parts],
            },
            "runDetails": {
                "builder": {
                    "id": "urn:zeuxis",
                    "version": {"zeuxis": str(facts.config.get("zeuxis"))},
                },
                "metadata": {"startedOn": f"{facts.config.get('started', '1970-01-01')}T00:00:00Z"},
            },
        },
    }


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _sign(me: credentials.Identity, payload: bytes) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    signature = me.private.sign(_encoded(payload), ec.ECDSA(hashes.SHA256()))
    return base64.b64encode(signature).decode()


@dataclasses.dataclass(frozen=True)
class Checked:
    """What became of a release.

    Attributes:
        own: whether it was signed with this user's own key.
        changed: files that are not what was signed, or are gone.
        licence: of the model, as signed.
    """

    own: bool
    changed: list[str]
    licence: str


def check(run: Path) -> Checked:
    """Compare the files of a release with what was signed.

    Raises:
        NotFound: nothing was released there.
        Invalid: the statement is damaged, or its signature does not fit it.
        Unable: the extra `credentials` is missing.
    """
    place = run / STATEMENT
    if not place.is_file():
        raise NotFound(f"{run} holds no release (no {STATEMENT}); `zeuxis release` writes one")
    credentials.needed()
    payload, root = _verified(place, read_json(place))
    try:
        signed = parse_json(payload)
        digests = {str(one["name"]): one["digest"]["sha256"] for one in signed["subject"]}
        licence = signed["predicate"]["buildDefinition"]["internalParameters"]["licence"]
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(
            f"{place} holds another statement than `zeuxis release` signs; get the release again"
        ) from error
    own = credentials.folder() / credentials.ROOT
    mine = own.is_file() and own.read_bytes() == root
    changed = [name for name, digest in digests.items() if not _is(run, name, digest)]
    return Checked(mine, changed, str(licence))


def _is(run: Path, name: str, digest: str) -> bool:
    """Whether a file lies in a run's folder and is the one that was signed."""
    file = run / name
    inside = file.resolve().is_relative_to(run.resolve())
    return inside and file.is_file() and sha256(file) == digest


def _verified(place: Path, envelope: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The payload whose signature fits, and the root, PEM, of who signed it."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        (one,) = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        leaf, root = x509.load_pem_x509_certificates(one["cert"].encode())
        leaf.verify_directly_issued_by(root)
        key: Any = leaf.public_key()
        key.verify(base64.b64decode(one["sig"]), _encoded(payload), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Invalid(
            f"{place} was changed since it was signed, or is damaged; get the release again from its maker"
        ) from error
    return payload, root.public_bytes(Encoding.PEM)
