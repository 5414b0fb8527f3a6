"""Audits of stored pictures and sound by the command `audit-storage`: a folder, single files, or a column of paths in a table."""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from observability.cli.commands_data import read_table
from observability.cli.outcome import Say
from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.core.numerals import format_figure
from observability.metrics.media_forms import (
    PICTURES,
    SOUND,
    StoredFile,
    UnreadableMediaError,
    measured_picture,
    measured_sound,
    media_storage,
)
from observability.metrics.trade_offs import MAX_LEVELS

MAX_FILES = 100
"""Maximum number of files that are measured; they are evenly spaced in the order of their paths."""
UNITS = {"psnr": "PSNR {} dB", "ssim": "SSIM {}", "snr": "SNR {} dB"}


@dataclass(frozen=True)
class MediaToStore:
    """Pictures or sound to audit. paths: the files in order. groups: by column, the level of each file."""

    name: str
    paths: list[Path]
    groups: dict[str, list[str]]

    @property
    def measure(self) -> Callable[[Path], StoredFile]:
        """The function that measures one file. Raises UsageError unless all files are of one supported kind."""
        endings = {path.suffix.lower() for path in self.paths}
        if endings <= PICTURES:
            return measured_picture
        if endings <= SOUND:
            return measured_sound
        wanted = "pictures (.png, .jpg, .webp) or sound (.wav), not both"
        raise UsageError("these files cannot be audited together", got=", ".join(sorted(endings)), expected=wanted)


def media_to_store(args: argparse.Namespace) -> MediaToStore | None:
    """The pictures or sound that a command names; None if it names tables. Raises UsageError if a folder or a column contains none."""
    paths = [Path(file) for file in args.files]
    known = PICTURES | SOUND
    if args.media:
        return _of_column(args, paths)
    if len(paths) == 1 and paths[0].is_dir():
        (root,) = paths
        paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in known and path.is_file())
        if not paths:
            raise UsageError("the folder holds no pictures and no sound", got=str(root), expected="files as .png, .jpg, .webp or .wav")
        name = args.dataset or root.resolve().name
        return MediaToStore(name, paths, {"folder": [path.parent.relative_to(root).as_posix() for path in paths]})
    if not paths or not {path.suffix.lower() for path in paths} & known:
        return None
    return MediaToStore(args.dataset or paths[0].name.partition(".")[0], paths, {})


def _of_column(args: argparse.Namespace, tables: list[Path]) -> MediaToStore:
    """The files whose paths (relative to the table) are in a column of a table. Other columns with few levels become groups."""
    if len(tables) != 1:
        raise UsageError("--media needs one table", got=f"{len(tables)} files", expected="a file with a column of paths")
    (path,) = tables
    frame = read_table(path, args.decimal)
    if args.media not in frame:
        raise UsageError("--media names a column that the data lack", got=args.media, expected=", ".join(map(str, frame.columns)))
    frame = frame[frame[args.media].notna()]
    others = {str(name): frame[name].astype(str).tolist() for name in frame if name != args.media and frame[name].nunique() <= MAX_LEVELS}
    files = [path.parent / str(name) for name in frame[args.media]]
    if not files:
        raise UsageError("the column names no file", got=args.media)
    return MediaToStore(args.dataset or path.name.partition(".")[0], files, others)


def audit_media(media: MediaToStore, args: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The audit of pictures or sound: `codecs`, `forms`, `media` and the owner's limits. Raises UsageError if no file can be read."""
    if args.model:
        raise UsageError("registered models read tables", got="--model", expected="an audit of pictures or sound without --model")
    last, measure = len(media.paths) - 1, media.measure
    places = np.unique(np.linspace(0, last, min(last + 1, MAX_FILES)).astype(int)).tolist()
    measured, skipped = dict[int, StoredFile](), Counter[str]()
    for done, place in enumerate(places):
        say(f"measuring file {done + 1} of {len(places)}")
        try:
            measured[place] = measure(media.paths[place])
        except UnreadableMediaError as error:
            skipped[str(error)] += 1
    if not measured:
        reasons = ", ".join(f"{n} {reason}" for reason, n in skipped.items())
        raise UsageError("no file can be measured", got=reasons)
    groups = {column: [levels[place] for place in measured] for column, levels in media.groups.items()}
    kind = "pictures" if measure is measured_picture else "sound"
    found = media_storage(list(measured.values()), groups)
    least = {name: value for name in ("psnr", "ssim") if (value := getattr(args, f"least_{name}")) is not None}
    told = {"kind": kind, "files": len(measured), "of": len(media.paths), "skipped": dict(skipped)}
    return {**found, "tags": {}, "media": told} | ({"least": least} if least else {})


def media_lines(media: dict[str, Any], forms: dict[str, Any]) -> list[str]:
    """The results of an audit of pictures or sound as text, to be printed after the sizes of the exact forms."""
    skipped = sum(media["skipped"].values())
    lines = [f"  {media['files']:,} of {plural(media['of'], 'file')} measured" + (f", {skipped:,} skipped" if skipped else "")]
    for name, form in forms.items():
        whole = form["fidelity"][0]
        lines.append(f"  {name}: " + ", ".join(words.format(format_figure(whole[key][0])) for key, words in UNITS.items() if key in whole))
    return lines
