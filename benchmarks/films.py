"""What of the invisible mark is left in films: each frame is marked, written, and read back.

    python -m benchmarks.films pictures --sizes 64 256 --record
    python -m benchmarks.films pictures --sizes 512 --films 4 --record

`pictures` is the folder of benchmarks.marks, of whose pictures each makes a film: 12 frames of a slow pan, so
that no two frames are equal. Formats are ours. What others may do next is tried on our MP4: VP9 at crf 33,
H.264 at crf 23 and 28, H.264 at half the size, a GIF of 64 dithered colours.

Frames below 256 pixels are enlarged by the writer, as always. A row says in how many films the mark is found
at one in a million: in the first frame, and in the frames that `zeuxis verify` looks at together; in how many
of these the payload is read rightly; and how large marked films are beside unmarked ones.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from benchmarks.marks import PAYLOAD, pixels, psnr, sources
from benchmarks.row import write_row
from zeuxis.core.film import picture_frames, video_frames, write_film
from zeuxis.marks.reading import SURE
from zeuxis.marks.watermark import PUBLIC_KEY, capacity, detect, detect_film, embed
from zeuxis.trust.verify import FRAMES

COUNT, PART = 12, 0.75
"""Frames, and the side of what each shows of a picture."""
KINDS = ("webp", "gif", "mp4", "webm")
AGAIN = {
    "mp4, then VP9 crf 33": ("libvpx-vp9", {"crf": "33", "b": "0"}, 1.0),
    "mp4, then H.264 crf 23": ("libx264", {"crf": "23"}, 1.0),
    "mp4, then H.264 crf 28": ("libx264", {"crf": "28"}, 1.0),
    "mp4, then half the size, H.264 crf 23": ("libx264", {"crf": "23"}, 0.5),
}


def pan(image: Image.Image, size: int) -> np.ndarray:
    """(COUNT, size, size, 3) uint8."""
    side = min(image.size)
    cut, found = round(PART * side), []
    for number in range(COUNT):
        at = round((side - cut) * number / (COUNT - 1))
        box = (at, at // 2, at + cut, at // 2 + cut)
        found.append(pixels(image.convert("RGB").crop(box), size))
    return np.stack(found)


def written(frames: np.ndarray, kind: str) -> bytes:
    """The file of a film."""
    with tempfile.TemporaryDirectory() as folder:
        write_film(frames, Path(folder) / f"film.{kind}")
        return (Path(folder) / f"film.{kind}").read_bytes()


def read(content: bytes, most: int) -> list[np.ndarray]:
    """Frames of a film."""
    if content[4:8] == b"ftyp" or content.startswith(b"\x1a\x45\xdf\xa3"):
        return video_frames(content, most)
    with Image.open(io.BytesIO(content)) as film:
        return picture_frames(film, most)


def encoded(frames: Sequence[np.ndarray], codec: str, options: dict[str, str], by: float) -> bytes:
    """An MP4 as other programs write it."""
    buffer = io.BytesIO()
    size = round(frames[0].shape[0] * by)
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream(codec, rate=12, options=options)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            shown = pixels(Image.fromarray(frame), size if by < 1 else None)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        film.mux(stream.encode())
    return buffer.getvalue()


def poorer(frames: Sequence[np.ndarray]) -> bytes:
    """A GIF of 64 dithered colours a frame."""
    first, *others = (Image.fromarray(frame).quantize(64) for frame in frames)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others)
    return buffer.getvalue()


def rows(folder: Path, sizes: list[int], most: int) -> Iterator[dict[str, object]]:
    """What is found, a row for each size and set of pictures."""
    for size in sizes:
        for which in ("chosen", "others"):
            looked = dict[str, list[tuple[float, float, bool]]]()
            larger = {kind: list[float]() for kind in KINDS}
            quality, spent, unmarked, bare = list[float](), list[float](), list[float](), 0
            films = list(sources(folder, which).values())[:most]
            for image in films:
                plain = pan(image, size)
                began = time.process_time()
                made = [embed(frame, PUBLIC_KEY, PAYLOAD) for frame in plain]
                spent.append((time.process_time() - began) / COUNT)
                bare += sum(one is None for one in made)
                marked = np.stack([a if b is None else b for a, b in zip(plain, made, strict=True)])
                quality.append(psnr(plain, marked))
                files = {kind: written(marked, kind) for kind in KINDS}
                for kind in KINDS:
                    without = written(plain, kind)
                    larger[kind].append(len(files[kind]) / len(without))
                    unmarked.append(detect_film(read(without, FRAMES), PUBLIC_KEY).log10_p)
                ours = read(files["mp4"], 10 * COUNT)
                files |= {name: encoded(ours, *how) for name, how in AGAIN.items()}
                files["mp4, then GIF of 64 colours"] = poorer(ours)
                for name, content in files.items():
                    frames = read(content, FRAMES)
                    one, all_ = detect(frames[0], PUBLIC_KEY), detect_film(frames, PUBLIC_KEY)
                    right = all_.payload == PAYLOAD % 2 ** capacity(size, size)
                    looked.setdefault(name, []).append((one.log10_p, all_.log10_p, right))
            yield {
                "size": size,
                "set": which,
                "films": len(films),
                "frames": COUNT,
                "frames_that_cannot_carry": bare,
                "psnr_mean": round(float(np.mean(quality)), 2),
                "put_cpu_ms_a_frame": round(1000 * float(np.median(spent)), 1),
                "size_marked_to_unmarked": {
                    kind: round(float(np.median(each)), 3) for kind, each in larger.items()
                },
                "lowest_log10_p_unmarked": round(min(unmarked), 2),
                "unmarked_looks": len(unmarked),
                "found": {
                    name: {
                        "first_frame": sum(one <= SURE for one, _, _ in each),
                        "together": sum(all_ <= SURE for _, all_, _ in each),
                        "payload_right": sum(right for _, _, right in each),
                        "median_log10_p_first": round(float(np.median([e[0] for e in each])), 1),
                        "median_log10_p_together": round(float(np.median([e[1] for e in each])), 1),
                    }
                    for name, each in looked.items()
                },
            }


def main() -> None:
    """Print the rows, and record them if that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--films", type=int, default=20, help="of each set of pictures, at most")
    parser.add_argument("--record", action="store_true", help="append to benchmarks/results")
    given = parser.parse_args()
    for row in rows(given.folder, given.sizes, given.films):
        print(row, flush=True)
        if given.record:
            write_row("films", **row)


if __name__ == "__main__":
    main()
