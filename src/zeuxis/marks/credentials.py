"""Content credentials (C2PA 2.2): a signed statement inside a file of what made it, by the user's own key.

The key and its chain of certificates are made at first use, in the user's configuration folder, and are on no
list of trust: whoever has not got the root sees a valid signature of somebody unknown. Nothing is fetched.
Every signing gives other bytes, by its identifier and its nonce; pixels and metadata stay as they are.

Needs the extra `credentials`.
"""

import contextlib
import dataclasses
import datetime
import functools
import importlib.util
import io
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeuxis.core.errors import Invalid, Unable
from zeuxis.marks import containers
from zeuxis.marks.metadata import DRAWN, SOURCE_TYPES, Origin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

MEDIA = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
}
"""Of the formats that can be signed."""
ALGORITHM = "org.zeuxis.stdm.1"
"""Name of the watermark in a manifest."""
CHAIN, ROOT, KEY = "chain.pem", "root.pem", "key.pem"
YEARS = 10
OFFLINE: dict[str, dict[str, Any]] = {
    "verify": {"verify_after_sign": False, "ocsp_fetch": False, "remote_manifest_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
"""A thumbnail, which is the default, is up to a hundred times as large as a small picture."""


@functools.cache
def installed() -> bool:
    """Whether the extra is there."""
    return all(importlib.util.find_spec(name) for name in ("c2pa", "cryptography"))


def needed() -> None:
    """Refuse where the extra is missing.

    Raises:
        Unable: it is.
    """
    if not installed():
        raise Unable(
            "content credentials need the packages c2pa-python and cryptography: "
            "pip install 'zeuxis[credentials]'; metadata and watermark need nothing"
        )


def ready() -> bool:
    """Whether what is written can be signed: the extra is there, and the key or a place for it."""
    try:
        return installed() and bool(identity())
    except OSError:
        return False


def folder() -> Path:
    """Where the key of this user lies."""
    place = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(place) / "zeuxis" / "credentials"


@dataclasses.dataclass(frozen=True)
class Identity:
    """A key that signs, and what says whose it is.

    Attributes:
        key: private, PEM.
        chain: certificates of the key and of the root, PEM.
        root: the latter alone.
    """

    key: bytes
    chain: bytes
    root: bytes

    @functools.cached_property
    def private(self) -> "EllipticCurvePrivateKey":
        """The key that signs other things than pictures, ECDSA on P-256."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        found: Any = load_pem_private_key(self.key, None)
        return found


def identity() -> Identity:
    """This user's, made if it is not there; the key's file is readable by its owner alone.

    Raises:
        Unable: the extra is missing.
        OSError: the folder cannot be written.
    """
    needed()
    place = folder()
    if not (place / KEY).is_file():
        _make(place)
    return _read(place)


@functools.lru_cache(1)
def _read(place: Path) -> Identity:
    return Identity(*((place / name).read_bytes() for name in (KEY, CHAIN, ROOT)))


def _make(place: Path) -> None:
    """Written beside and moved as a whole: of two processes that begin, the first one's is taken."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as beside:
        new = Path(beside) / "new"
        new.mkdir(mode=0o700)
        for name, content in zip((KEY, CHAIN, ROOT), _generated(), strict=True):
            with os.fdopen(os.open(new / name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(content)
        with contextlib.suppress(OSError):  # another process was first
            new.rename(place)


def _generated() -> tuple[bytes, bytes, bytes]:
    """Key, chain and root; the root's key signs one certificate and is forgotten."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Zeuxis local root", root_key, None)
    leaf = _certificate("Zeuxis local signer", key, root_key)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, leaf.public_bytes(pem) + root.public_bytes(pem), root.public_bytes(pem)


def _certificate(name: str, key: Any, issuer_key: Any) -> Any:
    """A root's, or of a key that signs, as C2PA wants it: no authority, for digital signatures alone."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(common: str) -> x509.Name:
        pairs = ((NameOID.ORGANIZATION_NAME, "Zeuxis local"), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(kind, text) for kind, text in pairs])

    is_root, signing = issuer_key is None, issuer_key or key
    uses = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    uses |= {"digital_signature": not is_root, "key_cert_sign": is_root, "crl_sign": is_root}
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("Zeuxis local root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(is_root, None), True)
        .add_extension(x509.KeyUsage(**uses), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    if not is_root:
        mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
        builder = builder.add_extension(mail, False).add_extension(by, False)
    return builder.sign(signing, hashes.SHA256())


def sign(
    content: bytes, origin: Origin, source: bytes | None = None, watermark: str | None = None
) -> bytes:
    """A file with credentials; of a format that holds none, as it is.

    Args:
        content: of a picture or film that is otherwise finished.
        origin: what made it.
        source: a file with credentials that it was made from, which become an ingredient.
        watermark: payload of the watermark in its pixels, if there is one.

    Raises:
        Unable: the extra is missing.
    """
    media = MEDIA.get(containers.kind_of(content))
    if media is None:
        return content
    me = identity()
    import c2pa  # type: ignore[import-untyped]

    context = c2pa.Context(c2pa.Settings.from_dict(OFFLINE))
    builder = c2pa.Builder(json.dumps(_manifest(origin, source is not None, watermark)), context)
    if source is not None:
        said = {"title": "source", "relationship": "parentOf", "label": "source"}
        kind = MEDIA[containers.kind_of(source)]
        builder.add_ingredient(json.dumps(said), kind, io.BytesIO(source))
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", me.chain, me.key, None))
    signed = io.BytesIO()
    builder.sign(signer, media, io.BytesIO(content), signed)
    return signed.getvalue()


def _manifest(origin: Origin, has_source: bool, watermark: str | None) -> dict[str, Any]:
    kind = {
        "digitalSourceType": SOURCE_TYPES + origin.source_type,
        "softwareAgent": {"name": origin.system, "version": origin.version},
    }
    actions: list[dict[str, Any]] = [{"action": "c2pa.created", **kind}]
    if has_source:
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}}
        actions = [opened, {"action": "c2pa.edited", **kind}]
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]
    if watermark is not None:
        block = {"alg": ALGORITHM, "blocks": [{"scope": {}, "value": watermark}]}
        assertions.append({"label": "c2pa.soft-binding", "data": block})
    generator = {"name": "Zeuxis", "version": origin.version}
    return {"claim_generator_info": [generator], "assertions": assertions}


@dataclasses.dataclass(frozen=True)
class Told:
    """What the credentials of a file tell.

    Attributes:
        state: "trusted", by this user's own root; "valid", by somebody unknown; "broken", for the file or the
            statement was changed.
        signer: organisation or name of who signed.
        generator: the program.
        made_by_ai: whether it states that an AI made or changed it, or what it was made from.
        ingredients: how many files with credentials it was made from.
    """

    state: str
    signer: str
    generator: str
    made_by_ai: bool
    ingredients: int


def read(content: bytes) -> Told | None:
    """What the credentials of a file tell; None without any.

    Raises:
        Unable: the extra is missing.
        Invalid: they cannot be read.
    """
    if not containers.has_credentials(content):
        return None
    needed()
    import c2pa

    verify = {**OFFLINE["verify"], "verify_trust": True}
    settings: dict[str, Any] = {**OFFLINE, "verify": verify}
    if (folder() / ROOT).is_file():
        settings["trust"] = {"user_anchors": (folder() / ROOT).read_text()}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    try:
        media = MEDIA[containers.kind_of(content)]
        reader = c2pa.Reader(media, io.BytesIO(content), context=context)
        told, state = json.loads(reader.json()), str(reader.get_validation_state())
    except (c2pa.C2paError, ValueError) as error:
        raise Invalid(f"its content credentials cannot be read ({error})") from error
    manifests = told.get("manifests", {})
    active = manifests.get(told.get("active_manifest"), {})
    by = active.get("signature_info", {})
    made = active.get("claim_generator_info") or [{}]
    text = json.dumps(manifests)
    return Told(
        {"Trusted": "trusted", "Valid": "valid"}.get(state, "broken"),
        str(by.get("issuer") or by.get("common_name") or "somebody unnamed"),
        str(made[0].get("name", "an unnamed program")),
        DRAWN.lower() in text.lower(),
        len(active.get("ingredients", ())),
    )
