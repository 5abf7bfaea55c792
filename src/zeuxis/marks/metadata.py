"""What a picture's metadata says of its making, in the terms that others read (IPTC 2025.1, XMP).

A recipe, what was asked for, is written where the result was asked to tell it.

`DigitalSourceType` is IPTC's: `trainedAlgorithmicMedia`, what a model drew, or
`compositeWithTrainedAlgorithmicMedia`, a picture that a model changed. No user's name and no path is written,
and no time: the same picture has the same bytes.
"""

import dataclasses
import re
import xml.parsers.expat
from xml.sax.saxutils import quoteattr

from zeuxis.marks import containers

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DRAWN, EDITED = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
PROCESSED = "algorithmicallyEnhanced"
"""By an algorithm that was not trained."""
LARGEST_PACKET = 60_000
"""Bytes of a source's packet that is kept: with what is added, it fits into a segment of JPEG."""
NAMESPACES = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "zeuxis": "urn:zeuxis:1.0/",
}
EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)
END = b"</rdf:RDF>"
OURS = (
    rb"(?:Iptc4xmpExt:(?:DigitalSourceType|AISystemUsed|AISystemVersionUsed)|xmp:CreatorTool|"
    rb"zeuxis:Recipe)"
)
PROPERTY = re.compile(rb"\s" + OURS + rb"\s*=\s*(?:\"[^\"<]*\"|'[^'<]*')")
ELEMENT = re.compile(rb"<(" + OURS + rb")(?:\s[^<>]*)?(?:/>|>[^<]*</\1\s*>)")


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a picture comes from.

    Attributes:
        system: that made it, such as "Zeuxis flow".
        version: of Zeuxis.
        source_type: IPTC's name of how.
        recipe: what was asked for, as JSON; empty if the picture is not to tell.
    """

    system: str
    version: str
    source_type: str = DRAWN
    recipe: str = ""

    @property
    def software(self) -> str:
        """Name and version of the program."""
        return f"Zeuxis {self.version}"


@dataclasses.dataclass(frozen=True)
class Kept:
    """What a source's file said of itself, which its edits go on saying.

    Attributes:
        xmp: its packet, checked.
        signed: the whole file, if it has content credentials.
    """

    xmp: bytes | None = None
    signed: bytes | None = None


def kept_of(content: object) -> Kept | None:
    """What is to be kept of an encoded file; None of an array, and where there is nothing."""
    if not isinstance(content, bytes):
        return None
    packet = containers.xmp_of(content)
    xmp = packet if packet is not None and is_plain(packet) else None
    signed = content if containers.has_credentials(content) else None
    return Kept(xmp, signed) if xmp or signed else None


def is_plain(packet: bytes) -> bool:
    """Whether a stranger's XMP is well-formed, of a bounded size, without entities, and can be added to."""
    text = packet.strip(b"\0 \r\n\t")
    if len(packet) > LARGEST_PACKET or text.count(END) != 1:
        return False
    parser, ends = xml.parsers.expat.ParserCreate(), list[int]()

    def refuse(*_: object) -> None:
        raise ValueError

    def ended(name: str) -> None:
        if name == "rdf:RDF":
            ends.append(parser.CurrentByteIndex)

    parser.StartDoctypeDeclHandler, parser.EndElementHandler = refuse, ended
    try:
        text.decode()
        parser.Parse(text, True)
    except (xml.parsers.expat.ExpatError, ValueError):
        return False
    return ends == [text.find(END)]  # not in a comment, where what is added would be lost


def packet(origin: Origin, kept: bytes | None = None) -> bytes:
    """The XMP of a picture: `kept`, a checked packet of its source, with what is said of its making."""
    said = {
        "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPES + origin.source_type,
        "xmp:CreatorTool": origin.software,
    }
    if origin.source_type != PROCESSED:
        said["Iptc4xmpExt:AISystemUsed"] = origin.system
        said["Iptc4xmpExt:AISystemVersionUsed"] = origin.version
    if origin.recipe:
        said["zeuxis:Recipe"] = origin.recipe
    used = {name.partition(":")[0] for name in said}
    names = {f"xmlns:{prefix}": NAMESPACES[prefix] for prefix in NAMESPACES if prefix in used}
    words = " ".join(f"{name}={quoteattr(value)}" for name, value in (names | said).items())
    before = ELEMENT.sub(b"", PROPERTY.sub(b"", kept or EMPTY))
    added = f'<rdf:Description rdf:about="" {words}/></rdf:RDF>'.encode()
    return before.replace(END, added)


def put(content: bytes, origin: Origin, kept: Kept | None = None) -> bytes:
    """An encoded picture or film that says where it comes from; `containers` has the formats."""
    xmp = packet(origin, kept.xmp if kept else None)
    return containers.put(content, xmp, origin.software)
