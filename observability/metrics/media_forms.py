"""Measure forms of stored pictures and sound: the bytes of each exact form, and for lossy forms the loss of each file, by group."""

import io
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.metrics.stored_forms import FIDELITY
from observability.metrics.trade_offs import MAX_LEVELS
from observability.stats.fidelity import peak_signal_to_noise, signal_to_noise, structural_similarity
from observability.stats.interval import Interval, Moments, mean_interval

if TYPE_CHECKING:
    from PIL.Image import Image

    from observability.stats.arrays import Floats

    Samples = np.ndarray[Any, np.dtype[Any]]

PICTURES, SOUND = frozenset((".png", ".jpg", ".jpeg", ".webp")), frozenset((".wav",))
"""Endings of files that are measured."""
MODES = frozenset(("L", "RGB"))
"""Modes of pictures that every lossy form holds: 8 bits, grey or three colours."""
MAX_PIXELS, MAX_SAMPLES = 25_000_000, 30_000_000
"""A picture with more pixels, or a sound with more samples, is left out."""
MIN_FILES = 10
"""A group is compared only if it has at least this many files."""
PICTURE_CODECS: dict[str, dict[str, Any]] = {"PNG": {"format": "PNG"}, "WebP lossless": {"format": "WEBP", "lossless": True}}
PICTURE_FORMS: dict[str, dict[str, Any]] = {
    "JPEG 95": {"format": "JPEG", "quality": 95},
    "JPEG 75": {"format": "JPEG", "quality": 75},
    "JPEG 50": {"format": "JPEG", "quality": 50},
    "WebP 80": {"format": "WEBP", "quality": 80},
}
MU = 255.0
"""The constant of mu-law companding."""


@dataclass(frozen=True)
class StoredFile:
    """One stored file under each form. sizes: bytes by form, including exact forms. loss: for each lossy form, the figures of FIDELITY
    that apply.
    """

    sizes: dict[str, int]
    loss: dict[str, dict[str, float]]


class UnreadableMediaError(Exception):
    """Raised for a file that cannot be measured. Its text gives the reason, worded to follow `N files`."""


def measured_picture(path: Path) -> StoredFile:
    """Return the size of a picture in each form, and the loss of each lossy form.

    Parameters
    ----------
    path : Path
        A picture.

    Returns
    -------
    StoredFile
        PSNR over all channels; SSIM of the luminance (ITU-R 601), if the picture has 11 pixels in each direction. Raises
        UnreadableMediaError if it is no picture of 8 bits in grey or three colours, is too large or damaged.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise UnreadableMediaError("with too many pixels")
            if opened.mode not in MODES:
                raise UnreadableMediaError(f"of mode {opened.mode}")
            exact = opened.copy()
    except UnreadableMediaError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        raise UnreadableMediaError("damaged or of another format") from error
    exact.info.clear()  # profiles and comments do not belong to the picture itself
    pixels = np.asarray(exact)
    sizes = {"none": pixels.nbytes, "as given": path.stat().st_size}
    sizes |= {name: len(_saved(exact, options)) for name, options in PICTURE_CODECS.items()}
    loss: dict[str, dict[str, float]] = {}
    for name, options in PICTURE_FORMS.items():
        body = _saved(exact, options)
        with Image.open(io.BytesIO(body)) as read:
            stored = read.convert(exact.mode)
        sizes[name], loss[name] = len(body), {"psnr": peak_signal_to_noise(pixels.astype(float), np.asarray(stored).astype(float), 255.0)}
        one, other = (np.asarray(each.convert("L")).astype(float) for each in (exact, stored))
        if (alike := structural_similarity(one, other)) is not None:
            loss[name]["ssim"] = alike
    return StoredFile(sizes, loss)


def _saved(picture: "Image", options: Mapping[str, Any]) -> bytes:
    """A picture as a file."""
    sink = io.BytesIO()
    picture.save(sink, **options)
    return sink.getvalue()


def measured_sound(path: Path) -> StoredFile:
    """Return the size of a sound in each form, and the loss of each lossy form.

    Parameters
    ----------
    path : Path
        A WAV file of whole numbers (PCM) of 8, 16, 24 or 32 bits.

    Returns
    -------
    StoredFile
        Sizes of samples, compressed with zstd except for `none`. Raises UnreadableMediaError if the file has another format, no samples
        or too many.
    """
    import pyarrow as pa

    try:
        with wave.open(str(path), "rb") as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            if file.getnframes() * channels > MAX_SAMPLES:
                raise UnreadableMediaError("with too many samples")
            body = file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise UnreadableMediaError("damaged or of another format") from error
    exact = _samples(body, width, channels)
    if not exact.size:
        raise UnreadableMediaError("without samples")
    sizes = {"none": len(body), "as given": path.stat().st_size, "zstd": len(pa.compress(body, codec="zstd", asbytes=True))}
    loss: dict[str, dict[str, float]] = {}
    for name, store in SOUND_FORMS.items():
        written, stored = store(exact, width)
        sizes[name] = len(pa.compress(written, codec="zstd", asbytes=True))
        loss[name] = {"psnr": peak_signal_to_noise(exact, stored, 1.0), "snr": signal_to_noise(exact, stored)}
    return StoredFile(sizes, loss)


def _samples(body: bytes, width: int, channels: int) -> "Floats":
    """PCM samples as numbers between -1 and 1, (frames, channels)."""
    raw = np.frombuffer(body[: len(body) // (width * channels) * width * channels], np.uint8).reshape(-1, width)
    if width == 1:
        numbers = raw[:, 0].astype(float) - 128.0
    else:
        whole = np.zeros((len(raw), 4), np.uint8)
        whole[:, 4 - width :] = raw  # the high bytes of 32 bits, so that the sign is kept
        numbers = whole.view("<i4")[:, 0].astype(float) / 2.0 ** (32 - 8 * width)
    return (numbers / 2.0 ** (8 * width - 1)).reshape(-1, channels)


def _eight_bits(samples: "Floats", _width: int) -> "tuple[bytes, Floats]":
    """Samples quantized to 256 equal steps: the bytes, and the decoded samples."""
    steps: Samples = np.clip(np.round(samples * 128.0), -128, 127).astype(np.int8)
    return steps.tobytes(), steps / 128.0


def _mu_law(samples: "Floats", _width: int) -> "tuple[bytes, Floats]":
    """Samples quantised to 256 steps that are finer near silence (mu-law): the bytes, and the decoded samples."""
    pressed = np.sign(samples) * np.log1p(MU * np.abs(samples)) / np.log1p(MU)
    steps: Samples = np.round((pressed + 1) / 2 * 255).astype(np.uint8)
    read = steps / 255.0 * 2 - 1
    return steps.tobytes(), np.sign(read) * np.expm1(np.abs(read) * np.log1p(MU)) / MU


def _half_rate(samples: "Floats", width: int) -> "tuple[bytes, Floats]":
    """Samples at half the rate, after a filter, with the same number of bits: the bytes, and the decoded samples."""
    from scipy.signal import resample_poly

    top = 2.0 ** (8 * width - 1)
    kept: Floats = np.clip(np.round(resample_poly(samples, 1, 2) * top), -top, top - 1)
    whole: Samples = kept.astype("<i8").view(np.uint8).reshape(*kept.shape, 8)[..., :width]
    return whole.tobytes(), resample_poly(kept / top, 2, 1)[: len(samples)]


SOUND_FORMS: "dict[str, Callable[[Floats, int], tuple[bytes, Floats]]]" = {
    "8 bits": _eight_bits,
    "mu-law 8 bits": _mu_law,
    "half rate": _half_rate,
}


def media_storage(files: Sequence[StoredFile], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the content of an audit of pictures or sound: `codecs` with the bytes of each, and `forms` with bytes and `fidelity`.

    Parameters
    ----------
    files : sequence of StoredFile
        At least one.
    groups : mapping of str to sequence of str
        The level of each file in each column. Columns with fewer than two or more than MAX_LEVELS levels are left out, and levels of fewer
        than MIN_FILES files.

    Returns
    -------
    dict
        `fidelity` is a list, first of all files (`column` and `level` None), then of each level: n, and by figure mean, low and high. The
        intervals of the levels of one form hold together (Bonferroni).
    """
    lossy = list(files[0].loss)
    sizes = {name: sum(file.sizes[name] for file in files) for name in files[0].sizes}
    parts = list(_parts(len(files), groups))
    return {
        "codecs": {name: {"bytes": size, "columns": {}} for name, size in sizes.items() if name not in lossy},
        "forms": {name: {"bytes": sizes[name], "fidelity": _fidelity([file.loss[name] for file in files], parts)} for name in lossy},
    }


def _parts(n: int, groups: Mapping[str, Sequence[str]]) -> "Iterator[tuple[str | None, str | None, Samples]]":
    """For all files, and for each level that is compared: column, level and positions of the files."""
    yield None, None, np.arange(n)
    for column, levels in groups.items():
        names, places = np.unique(np.asarray(levels, object).astype(str), return_inverse=True)
        if 2 <= names.size <= MAX_LEVELS:
            for place, level in enumerate(names.tolist()):
                own = np.flatnonzero(places == place)
                if own.size >= MIN_FILES:
                    yield column, level, own


def _fidelity(losses: Sequence[Mapping[str, float]], parts: "Sequence[tuple[str | None, str | None, Samples]]") -> list[dict[str, Any]]:
    """The figures of all files and of each level."""
    confidence = 1 - 0.05 / max(len(parts) - 1, 1)
    found = []
    for column, level, own in parts:
        row: dict[str, Any] = {"column": column, "level": level, "n": int(own.size)}
        for figure in FIDELITY:
            values = [losses[place][figure] for place in own if figure in losses[place]]
            if values:
                row[figure] = list(_mean(values, 0.95 if column is None else confidence).triple)
        found.append(row)
    return found


def _mean(values: Sequence[float], confidence: float) -> Interval:
    """The mean of a figure over files."""
    return mean_interval(Moments(len(values), sum(values), sum(each**2 for each in values)), confidence)
