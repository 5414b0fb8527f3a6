"""Texts and images that were logged with a prediction, as a feature or as an additional field."""

import base64
import binascii
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from observability.investigation.logged_prediction import Row

TEXT_NAMES = (
    "text",
    "prompt",
    "question",
    "query",
    "message",
    "body",
    "review",
    "comment",
    "tweet",
    "title",
    "content",
    "document",
    "input",
)
MIN_WORDS, MIN_FEATURE_WORDS = 3, 6
"""A field whose name is not in TEXT_NAMES counts as a text from this many words on; a feature value that is not a level of the reference,
from the second number on.
"""
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
MAX_IMAGES, MAX_IMAGE_BYTES, MAX_PIXELS = 4, 10 * 1024**2, 40_000_000
TOO_MANY_PIXELS = "The image has more than 40 million pixels."
WEB = re.compile(r"https?://", re.IGNORECASE)
FOLDERS = "OBSERVABILITY_IMAGES"
"""The environment variable with the folders whose images may be shown, separated like those of PATH."""


@dataclass(frozen=True)
class LoggedText:
    """A text that was logged. feature: whether it is a feature of the model."""

    name: str
    text: str
    feature: bool


@dataclass(frozen=True)
class LoggedImage:
    """A logged reference to an image. kind: data (in the log itself), file (a path), web (an address)."""

    name: str
    source: str
    kind: Literal["data", "file", "web"]


def logged_texts(row: Row) -> tuple[LoggedText, ...]:
    """The texts of a prediction: first those of text fields, then those of features whose value is not a level of the reference."""
    own = texts_of_fields(dict(_own_fields(row)))
    features = [
        LoggedText(name, value, True)
        for name, value in row.features.items()
        if isinstance(value, str) and len(value.split()) >= MIN_FEATURE_WORDS and not image_kind(value) and not _is_level(row, name, value)
    ]
    return (*own, *features)


def logged_images(row: Row) -> tuple[LoggedImage, ...]:
    """The references to images of a prediction, at most four."""
    own, features = images_of_fields(dict(_own_fields(row))), images_of_fields(row.features)
    return (*own, *features)[:MAX_IMAGES]


def texts_of_fields(fields: Mapping[str, Any]) -> tuple[LoggedText, ...]:
    """The texts among fields without a model, for example the fields of an item to be labelled."""
    texts = [(name, value) for name, value in fields.items() if isinstance(value, str) and value.strip() and not image_kind(value)]
    return tuple(LoggedText(name, value, False) for name, value in texts if name.lower() in TEXT_NAMES or len(value.split()) >= MIN_WORDS)


def images_of_fields(fields: Mapping[str, Any]) -> tuple[LoggedImage, ...]:
    """The references to images among fields, at most four."""
    texts = [(name, value, image_kind(value)) for name, value in fields.items() if isinstance(value, str)]
    return tuple([LoggedImage(name, value, kind) for name, value, kind in texts if kind is not None][:MAX_IMAGES])


def _own_fields(row: Row) -> Iterator[tuple[str, str]]:
    """The text fields of a prediction that the contract for records does not define."""
    extra = row.stored.get("extra")
    for name, value in extra.items() if isinstance(extra, Mapping) else ():
        if isinstance(value, str):
            yield str(name), value


def _is_level(row: Row, name: str, value: str) -> bool:
    """Whether a feature's value is a level of the reference."""
    edges = row.version.edges.get(f"feature.{name}")
    return edges is not None and value in edges.levels


def image_kind(value: str) -> Literal["data", "file", "web"] | None:
    """The kind of image that a text refers to; None if it refers to none."""
    if value.startswith("data:image/"):
        return "data"
    if len(value) > 2000 or "\n" in value:
        return None
    ending = value.split("?", maxsplit=1)[0].lower() if WEB.match(value) else value.lower()
    return None if not ending.endswith(IMAGE_ENDINGS) else "web" if WEB.match(value) else "file"


def image_folders(home: Path, environment: Mapping[str, Any] = os.environ) -> tuple[Path, ...]:
    """The folders whose images may be shown: `images` in the home, and those that the environment names."""
    named = str(environment.get(FOLDERS) or "").split(os.pathsep)
    return (home / "images", *(Path(each).expanduser() for each in named if each.strip()))


def image_bytes(image: LoggedImage, folders: Sequence[Path]) -> tuple[bytes | None, str]:
    """The bytes of the image and an empty text, or None and a sentence why the image is not shown. Nothing is fetched; a file is read only
    if it is inside `folders`.
    """
    if image.kind == "web":
        return None, "An address on the web; it is never fetched."
    if image.kind == "data":
        head, _, body = image.source.partition(",")
        if not head.endswith(";base64"):
            return None, "The image in the log is not in base64."
        try:
            content = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            return None, "The image in the log cannot be read: its base64 is damaged."
    else:
        path = _inside(image.source, folders)
        if path is None:
            return (
                None,
                f"The file is not in a folder whose images may be shown: put it into `images` of the home, or name its own in {FOLDERS}.",
            )
        try:
            if path.stat().st_size > MAX_IMAGE_BYTES:
                return None, "The image has more than 10 MB."
            content = path.read_bytes()
        except OSError as error:
            return None, f"The file cannot be read: {error.strerror}."
    if len(content) > MAX_IMAGE_BYTES:
        return None, "The image has more than 10 MB."
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if not (webp or content.startswith(SIGNATURES)):
        return None, "This is not a PNG, JPEG, GIF, WebP or BMP image."
    problem = _image_problem(content)
    return (None, problem) if problem else (content, "")


def _image_problem(content: bytes) -> str:
    """A sentence that says why an image cannot be drawn; empty if it can. Only the first frame of an animation is read."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return TOO_MANY_PIXELS
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return TOO_MANY_PIXELS
    except Exception:  # the decoders raise many kinds of errors for damaged files
        return "The image is damaged and cannot be drawn."
    return ""


def is_shown_file(image: LoggedImage, folders: Sequence[Path]) -> bool:
    """Whether a reference is to a file inside of `folders`."""
    return _inside(image.source, folders) is not None


def _inside(name: str, folders: Sequence[Path]) -> Path | None:
    """The file at a path (absolute, or relative to a folder) with links resolved; None if it is in none of the folders."""
    for folder in folders:
        root = folder.resolve()
        with suppress(OSError, ValueError, RuntimeError):  # ignore a name that no file can have, and links in a circle
            path = (root / name.removeprefix("file://")).resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
    return None
