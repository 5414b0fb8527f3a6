"""A logged text is found. An image file is read only if it is in an allowed folder and really is an image. Nothing is fetched."""

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from observability.investigation.explanation_sentences import explanation_sentences
from observability.investigation.latent_inputs import latent_bars_together, latent_features, named_and_other_bars
from observability.investigation.logged_content import FOLDERS, image_bytes, image_folders, logged_images, logged_texts
from observability.investigation.model_answers import Bar
from tests.support.text_row import text_row

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def images(row: Any) -> dict[str, tuple[Any, ...]]:
    return {image.name: (image.kind, image) for image in logged_images(row)}


def test_logged_texts_are_text_fields_or_features_that_are_no_category_level() -> None:
    long = "the parcel came two days late and was wet"
    row = text_row(
        {"note": long, "status": "never married or under the age of fifteen", "size": 1.0},
        extra={"text": "ok", "tag": "a b", "why": "it did so"},
    )
    found = {text.name: text for text in logged_texts(row)}
    assert found["text"].text == "ok" and not found["text"].feature
    assert found["why"].text == "it did so" and "tag" not in found
    assert found["note"].feature
    known = text_row({"note": long}, levels={"note": (long,)})
    assert logged_texts(known) == (), "a category with long names is not taken for text"


def test_numbered_features_named_after_dimensions_are_latent_inputs() -> None:
    assert latent_features(["component_01", "Component 02", "component_3", "size", "topic_1"]) == (
        "component_01",
        "Component 02",
        "component_3",
    )
    assert latent_features(["component_1", "component_2", "rain_1h", "rain_2h", "rain_3h"]) == ()


def test_attributions_of_latent_inputs_are_one_bar_and_one_part_of_the_sentence() -> None:
    bars = [Bar("component_1", 0.2, 0.5), Bar("words", 3, -0.4), Bar("component_2", 0.1, -0.45), Bar("component_3", 0.1, 0.1)]
    merged = latent_bars_together(bars)
    assert [(bar.feature, round(bar.attribution, 6)) for bar in merged] == [("words", -0.4), ("3 latent inputs", 0.15)]
    assert latent_bars_together(bars[1:3]) == tuple(bars[1:3])
    small = [*bars[1:2], Bar("a", 1, 0.3), Bar("b", 1, 0.2), merged[1]]
    named, others = named_and_other_bars(small, 2)
    assert ([bar.feature for bar in named], [bar.feature for bar in others]) == (["words", "3 latent inputs"], ["a", "b"])
    assert named_and_other_bars(small[:3], 2) == (small[:2], small[2:3])
    up, down, _ = explanation_sentences(bars, 0.0, -0.25, "identity", "the average")
    assert (up, down) == (
        "Pushed up by 0.6: 2 latent inputs (+0.6).",
        "Pushed down by 0.85: 1 latent input (\u22120.45) and words = 3 (\u22120.4).",
    )


def test_an_image_is_read_only_inside_of_the_folders(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for folder in (home / "images", other):
        folder.mkdir(parents=True)
    (home / "images" / "a.png").write_bytes(PIXEL)
    (other / "b.png").write_bytes(PIXEL)
    (home / "images" / "fake.png").write_text("root:x:0:0")
    (home / "images" / "link.png").symlink_to(other / "b.png")
    folders = image_folders(home, {})
    row = text_row({"photo": "a.png", "scan": str(other / "b.png")}, extra={"up": "../../other/b.png", "link": "link.png"})
    found = images(row)
    assert image_bytes(found["photo"][1], folders) == (PIXEL, "")
    for name in ("scan", "up", "link"):
        content, why = image_bytes(found[name][1], folders)
        assert content is None and "not in a folder whose images may be shown" in why and FOLDERS in why
    assert image_bytes(found["scan"][1], image_folders(home, {FOLDERS: str(other)})) == (PIXEL, "")
    (fake,) = logged_images(text_row({"photo": "fake.png"}))
    assert image_bytes(fake, folders) == (None, "This is not a PNG, JPEG, GIF, WebP or BMP image.")


@pytest.mark.parametrize(
    ("source", "kind", "why"),
    [
        ("https://example.org/a.png?x=1", "web", "never fetched"),
        ("data:image/png;base64,!!!", "data", "damaged"),
        ("data:image/svg+xml;base64," + base64.b64encode(b"<svg onload=alert(1)>").decode(), "data", "not a PNG"),
        ("data:image/png,plain", "data", "not in base64"),
    ],
)
def test_an_image_that_is_not_shown_has_a_reason(source: str, kind: str, why: str) -> None:
    (image,) = logged_images(text_row({"photo": source}))
    content, reason = image_bytes(image, ())
    assert image.kind == kind and content is None and why in reason


def large_png(side: int) -> bytes:
    """The header of a PNG of side times side pixels, without any of its pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return PIXEL[:8] + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + PIXEL[33:]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"BM", "damaged"),
        (b"GIF89a<script>alert(1)</script>", "damaged"),
        (PIXEL[:40], "damaged"),
        (large_png(7_000), "more than 40 million pixels"),
        (large_png(60_000), "more than 40 million pixels"),
    ],
)
def test_an_image_that_cannot_be_drawn_says_why(content: bytes, why: str) -> None:
    (image,) = logged_images(text_row({"photo": "data:image/png;base64," + base64.b64encode(content).decode()}))
    found, reason = image_bytes(image, ())
    assert found is None and why in reason


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "\ud800.png", "a\x00.png"])
def test_an_impossible_file_name_shows_no_image_and_raises_no_error(name: str, tmp_path: Path) -> None:
    (image,) = logged_images(text_row({"photo": name}))
    assert image_bytes(image, (tmp_path,))[0] is None


def test_an_image_in_the_log_is_shown() -> None:
    (image,) = logged_images(text_row({"photo": "data:image/png;base64," + base64.b64encode(PIXEL).decode()}))
    assert image_bytes(image, ()) == (PIXEL, "")
