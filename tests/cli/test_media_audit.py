"""`audit-storage` measures pictures and sound: sizes and loss equal those computed with Pillow, wave and numpy, and unreadable files are
reported.
"""

import json
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from observability.cli.execute import execute
from observability.store.engine import Store
from tests.support.new_store import new_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An empty store; only one test of this file writes a record to it."""
    found = new_store(tmp_path_factory.mktemp("media") / "home")
    yield found
    found.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven smooth and eleven noisy pictures in folders, one picture with a mask, and one file that is no picture."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(4)
    for level, noise in (("noisy", 60), ("smooth", 2)):
        (root / level).mkdir()
        for place in range(11):
            y, x = np.mgrid[:32, :40]
            values = 127 + 80 * np.sin((x + place) / 9)[..., None] * np.cos(y / 8)[..., None] + rng.normal(0, noise, (32, 40, 3))
            Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(root / level / f"{place:02}.png")
    Image.new("RGBA", (20, 20)).save(root / "mask.png")
    (root / "broken.jpg").write_bytes(b"no picture")
    return root


def answer(store: Store, *argv: object) -> dict:
    """The JSON output of a command that succeeds."""
    outcome = execute(store, [*map(str, argv), "--json"], lambda _: None)
    assert outcome.exit_code == 0, outcome.error
    return json.loads(outcome.out)


def test_pictures_of_a_folder_are_measured_by_form_and_folder_and_what_cannot_be_is_counted(store: Store, folder: Path) -> None:
    argv = ("audit-storage", folder, "--least-psnr", 35, "--in-use", "JPEG 75", "--data-version", 1)
    record = answer(store, *argv)
    storage, paths = record["storage"], sorted(folder.rglob("*.png"))
    assert storage["media"] == {
        "kind": "pictures", "files": 22, "of": 24, "skipped": {"of mode RGBA": 1, "damaged or of another format": 1},
    }  # fmt: skip
    assert (storage["least"], storage["in_use"], record["rows"]) == ({"psnr": 35.0}, "JPEG 75", 24)
    pictures = [path for path in paths if path.name != "mask.png"]
    codecs = {name: cost["bytes"] for name, cost in storage["codecs"].items()}
    assert codecs["none"] == 22 * 32 * 40 * 3 and codecs["as given"] == sum(path.stat().st_size for path in pictures)
    whole, noisy, smooth = storage["forms"]["JPEG 50"]["fidelity"]
    assert (noisy["level"], smooth["level"], whole["n"], noisy["n"]) == ("noisy", "smooth", 22, 11)
    errors, size = [], 0
    for path in pictures:
        kept = folder / "kept.jpeg"
        Image.open(path).save(kept, quality=50)
        size += kept.stat().st_size
        exact, stored = (np.asarray(Image.open(each)).astype(float) for each in (path, kept))
        errors.append(10 * np.log10(255**2 / ((exact - stored) ** 2).mean()))
        kept.unlink()
    assert size == storage["forms"]["JPEG 50"]["bytes"]
    assert whole["psnr"][0] == pytest.approx(np.mean(errors)) and noisy["psnr"][0] == pytest.approx(np.mean(errors[:11]))
    assert noisy["psnr"][2] < smooth["psnr"][1] and noisy["ssim"][0] < 1
    worst = [storage["forms"][name]["fidelity"][0]["psnr"][0] for name in ("JPEG 50", "JPEG 75", "JPEG 95")]
    assert worst == sorted(worst)
    store.load_landing()
    text = execute(store, [*map(str, argv), "--dry-run"], lambda _: None).out
    assert "22 of 24 files measured, 2 skipped" in text and "JPEG 50: PSNR " in text


def test_a_column_names_the_pictures_and_other_columns_group_them(store: Store, folder: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("??.png"))]
    table = folder / "photos.csv"
    pd.DataFrame({"file": names, "light": ["day", "night"] * 11, "id": range(22)}).assign(id=lambda rows: rows["id"] % 2).to_csv(table)
    found = answer(store, "audit-storage", table, "--media", "file", "--dry-run")["storage"]["forms"]["WebP 80"]["fidelity"]
    assert [(each["column"], each["level"], each["n"]) for each in found[:3]] == [
        (None, None, 22),
        ("light", "day", 11),
        ("light", "night", 11),
    ]
    table.unlink()


@pytest.mark.parametrize(("width", "kind"), [(1, np.uint8), (2, np.dtype("<i2")), (3, None)])
def test_sound_measurements_match_the_wave_module(store: Store, tmp_path: Path, width: int, kind: np.dtype | None) -> None:
    at = np.arange(8000) / 8000
    signal = 0.5 * np.sin(2 * np.pi * 220 * at) * np.exp(-2 * at) + 0.1 * np.sin(2 * np.pi * 3100 * at)
    whole = np.round(signal * (2 ** (8 * width - 1) - 1)).astype("<i4")
    body = (whole + 128).astype(np.uint8).tobytes() if width == 1 else whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, width, 8000, 0, "NONE", ""))
        file.writeframes(body)
    storage = answer(store, "audit-storage", tmp_path / "tone.wav", "--dry-run")["storage"]
    assert storage["media"]["kind"] == "sound" and storage["codecs"]["none"]["bytes"] == 8000 * width
    forms = {name: form["fidelity"][0] for name, form in storage["forms"].items()}
    exact = whole / 2 ** (8 * width - 1)
    stored = np.clip(np.round(exact * 128), -128, 127) / 128
    if width == 1:
        assert forms["8 bits"]["snr"][0] == 100.0, "samples of eight bits are stored exactly"
    else:
        noise = ((exact - stored) ** 2).mean()
        assert forms["8 bits"]["snr"][0] == pytest.approx(10 * np.log10((exact**2).mean() / noise))
        assert forms["8 bits"]["psnr"][0] == pytest.approx(10 * np.log10(1 / noise))
    high = 0.1**2 / 2 / (exact**2).mean()
    assert forms["half rate"]["snr"][0] == pytest.approx(-10 * np.log10(high), abs=1.5), "what is above half of the rate is lost"
    assert 20 < forms["mu-law 8 bits"]["snr"][0] < 45


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("EMPTY",), "the folder holds no pictures and no sound"),
        (("FOLDER", "--model", "loan"), "registered models read tables"),
        (("FOLDER", "--in-use", "JPEG 12"), "the data have no such form"),
        (("FOLDER/broken.jpg",), "no file can be measured"),
        (("FOLDER/gone.png",), "a file does not exist"),
        (("FOLDER/mask.png", "FOLDER/a.wav"), "a file does not exist"),
    ],
)
def test_a_folder_that_cannot_be_audited_is_refused_with_one_sentence(
    store: Store, folder: Path, tmp_path: Path, argv: tuple[str, ...], said: str
) -> None:
    words = [each.replace("FOLDER", str(folder)).replace("EMPTY", str(tmp_path)) for each in argv]
    outcome = execute(store, ["audit-storage", *words], lambda _: None)
    assert outcome.exit_code == 2 and outcome.error and said in outcome.error
