"""Frames into films and back: lossless WebP, GIF with one palette for all frames, MP4 and WebM (VP9).

Shapes: N frames, H height, W width, C channels (1, 3 or 4).
"""

import io
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from zeuxis.core.errors import Invalid, Unable
from zeuxis.core.files import write_file
from zeuxis.core.pixels import enlarged

FPS = 12
FASTEST = 50
"""Frames a second: GIF counts in hundredths, and browsers slow down what lasts only one."""
LEAST = 256
"""Pixels of the longer side: smaller frames are enlarged, or players blur them."""
LARGEST = 16383
"""Pixels of a side that WebP can hold."""
COLOURS = 255
"""Of a GIF; one more entry stands for transparent pixels."""
QUALITY = {"crf": "12", "deadline": "good", "cpu-used": "4"}
"""Of VP9: noise of the encoding near one level of 255."""
LOOKED = 120
"""Frames that are read back at most."""
MOVING = ("GIF", "WEBP", "PNG")
"""Formats of pictures that may move."""
EBML = b"\x1a\x45\xdf\xa3"


def check_film(path: Path) -> None:
    """Refuse a name that is not of a film that can be written here.

    Raises:
        Invalid: the suffix is of no kind of film.
        Unable: it needs a package that is not installed.
    """
    if path.suffix.lower() not in WRITERS or path.is_dir():
        raise Invalid(f"{path} cannot be a film; give a name that ends in {', '.join(WRITERS)}")
    if path.suffix.lower() in (".mp4", ".webm"):
        _av()


def write_film(
    frames_NHWC: np.ndarray,
    path: str | Path,
    fps: float = FPS,
    loop: bool = True,
    finish: Callable[[bytes], bytes] | None = None,
) -> None:
    """Write a film, whole or not at all; the suffix says which kind.

    Frames whose longer side is under 256 pixels are enlarged by a whole even factor, without smoothing.

    Args:
        frames_NHWC: uint8. MP4 and WebM show transparent pixels on white and odd sides one pixel larger; a
            pixel of a GIF is transparent if its alpha is below 128.
        path: ends in .webp, .gif, .mp4 or .webm.
        fps: frames a second, 1 to 50.
        loop: whether it begins again at its end (players of MP4 and WebM choose that themselves).
        finish: what is done with the bytes of the file, if anything.

    Raises:
        Invalid: the suffix, the frames or the pace are not such.
        Unable: MP4 or WebM without the package av.
    """
    path = Path(path)
    check_film(path)
    shape, largest = frames_NHWC.shape, max(frames_NHWC.shape[1:3], default=0)
    if frames_NHWC.dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3, 4):
        raise Invalid(
            f"frames are {frames_NHWC.dtype} {shape}, expected uint8 (N, H, W, 1, 3 or 4)"
        )
    if not len(frames_NHWC) or not 1 <= largest <= LARGEST:
        raise Invalid(f"frames are {shape}; expected one or more, of 1 to {LARGEST} pixels a side")
    if not 1 <= fps <= FASTEST:
        raise Invalid(f"{fps:g} frames a second; expected 1 to {FASTEST}")
    frames = [_colour(enlarged(frame, LEAST, even=True)) for frame in frames_NHWC]

    def write(beside: Path) -> None:
        WRITERS[path.suffix.lower()](frames, beside, fps, loop)
        if finish is not None:
            beside.write_bytes(finish(beside.read_bytes()))

    write_file(path, write)


def container_of(content: bytes) -> str:
    """mp4 or webm; nothing of what is neither."""
    if content[4:8] == b"ftyp":
        return "mp4"
    return "webm" if content.startswith(EBML) else ""


def video_frames(content: bytes, most: int) -> list[np.ndarray]:
    """Up to `most` frames of an MP4 or WebM file, (H, W, 3) uint8, spread over its first 120.

    Raises:
        Unable: the package av is missing.
        Invalid: the file is damaged, or its frames are too large.
    """
    av = _av()
    try:
        with av.open(io.BytesIO(content), format=container_of(content)) as film:
            video = film.streams.video[0]
            if video.width * video.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Invalid(f"frames of {video.width} x {video.height} pixels are too large")
            shown = _spread(
                film.decode(video), lambda frame: frame.to_ndarray(format="rgb24"), most
            )
    except (av.FFmpegError, IndexError) as error:
        raise Invalid(f"no film that can be read ({error})") from error
    if not shown:
        raise Invalid("a film without frames")
    return shown


def picture_frames(image: Image.Image, most: int) -> list[np.ndarray]:
    """The same of a GIF, WebP or PNG file that moves, (H, W, 3 or 4); none of a still picture."""
    if image.format not in MOVING or getattr(image, "n_frames", 1) < 2:
        return []
    return _spread(ImageSequence.Iterator(image), _shown, most)


def _spread(
    frames: Iterable[Any], shown: Callable[[Any], np.ndarray], most: int
) -> list[np.ndarray]:
    kept, stride = list[np.ndarray](), 1
    for number, frame in enumerate(itertools.islice(frames, LOOKED)):
        if number % stride == 0:
            kept.append(shown(frame))
        if len(kept) == 2 * most:
            kept, stride = kept[::2], 2 * stride
    return kept[:: math.ceil(len(kept) / most)]


def _shown(frame: Image.Image) -> np.ndarray:
    return np.asarray(frame.convert("RGBA" if frame.has_transparency_data else "RGB"))


def _colour(frame_HWC: np.ndarray) -> np.ndarray:
    """With 3 channels, or 4."""
    return frame_HWC.repeat(3, 2) if frame_HWC.shape[2] == 1 else frame_HWC


def _durations(count: int, fps: float, unit: int) -> list[int]:
    """Milliseconds of each frame, in whole units, whose sum does not drift."""
    ends = np.rint(np.arange(count + 1) * (1000 / fps / unit)).astype(int) * unit
    return [int(length) for length in np.diff(ends)]


def _write_webp(frames: Sequence[np.ndarray], path: Path, fps: float, loop: bool) -> None:
    first, *others = map(Image.fromarray, frames)
    first.save(
        path,
        "WEBP",
        save_all=True,
        append_images=others,
        lossless=True,
        method=2,
        quality=20,  # effort only: the pixels are exact; more is five times slower for 2 % of the size
        duration=_durations(len(frames), fps, 1),
        loop=0 if loop else 1,
    )


def _write_gif(frames: Sequence[np.ndarray], path: Path, fps: float, loop: bool) -> None:
    """Nearest colours of one palette: dithered ones, or a palette each, would flicker."""
    every = max(1, sum(frame[..., 0].size for frame in frames) >> 20)
    seen = np.concatenate([frame[..., :3].reshape(-1, 3)[::every] for frame in frames])
    palette = Image.fromarray(seen[None]).quantize(COLOURS, kmeans=1, dither=Image.Dither.NONE)
    entries = bytes(palette.getpalette() or ())
    used = {entries[at : at + 3] for at in range(0, len(entries), 3)}
    free = next(colour for i in range(COLOURS + 1) if (colour := bytes((i, 0, i))) not in used)
    clear = len(entries) // 3
    pictures = []
    for frame in frames:
        shown = Image.fromarray(np.ascontiguousarray(frame[..., :3]))
        indexed = shown.quantize(palette=palette, dither=Image.Dither.NONE)
        indexed.putpalette(entries + free)
        if frame.shape[2] == 4:
            indexed.paste(clear, mask=Image.fromarray(frame[..., 3] < 128))
        pictures.append(indexed)
    extra: dict[str, Any] = {"loop": 0} if loop else {}
    extra |= {"transparency": clear, "disposal": 2} if frames[0].shape[2] == 4 else {}
    pictures[0].save(
        path,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        optimize=False,
        palette=entries + free,  # else the same one is written with every frame
        duration=_durations(len(frames), fps, 10),
        **extra,
    )


def _write_vp9(
    frames: Sequence[np.ndarray], path: Path, fps: float, loop: bool, container: str
) -> None:
    from fractions import Fraction

    av = _av()
    height, width = (side + side % 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w", format=container) as film:
        stream = film.add_stream(
            "libvpx-vp9", rate=Fraction(fps).limit_denominator(1000), options=QUALITY
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate, stream.thread_count = 0, 1
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # 16 to 235
        for frame in frames:
            shown = _on_white(frame)
            missing = (height - shown.shape[0], width - shown.shape[1])
            shown = np.pad(shown, ((0, missing[0]), (0, missing[1]), (0, 0)), "edge")
            picture = av.VideoFrame.from_ndarray(shown, "rgb24")
            film.mux(
                stream.encode(
                    picture.reformat(
                        format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
                    )
                )
            )
        film.mux(stream.encode())


def _on_white(frame_HWC: np.ndarray) -> np.ndarray:
    if frame_HWC.shape[2] == 3:
        return frame_HWC
    alpha = frame_HWC[..., 3:] / 255
    return np.rint(frame_HWC[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise Unable(
            "MP4 and WebM need the package av: pip install 'zeuxis[film]'; "
            "a film that ends in .webp or .gif needs nothing"
        ) from error
    return av


def _write_mp4(frames: Sequence[np.ndarray], path: Path, fps: float, loop: bool) -> None:
    _write_vp9(frames, path, fps, loop, "mp4")


def _write_webm(frames: Sequence[np.ndarray], path: Path, fps: float, loop: bool) -> None:
    _write_vp9(frames, path, fps, loop, "webm")


WRITERS = {".webp": _write_webp, ".gif": _write_gif, ".mp4": _write_mp4, ".webm": _write_webm}
