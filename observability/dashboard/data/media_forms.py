"""The part of the storage page about stored forms of pictures and sound: the loss of each form, and the group of files that loses most."""

from collections.abc import Mapping
from typing import Any

from observability.core import formatting
from observability.core.numerals import format_figure, percent
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns
from observability.dashboard.data.storage_view import ordered_codecs, ordered_forms
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph

FIGURES = {"psnr": "PSNR", "ssim": "SSIM", "snr": "SNR"}
DECIBELS = ("psnr", "snr")
FORMS = columns_on_phone(
    "form share psnr",
    column("form", "Form", strong=True),
    column("bytes", "Size", align="right"),
    column("share", "Of uncompressed", align="right"),
    column("psnr", "PSNR", align="right", help="Mean over files, with its 95 % interval; higher is closer to the exact file"),
    column("ssim", "SSIM", align="right", help="Mean structural similarity of the luminance over pictures; 1 is equal"),
    column("snr", "SNR", align="right", help="Mean over files: power of the sound over that of the error"),
    column("worst", "Lowest group", help="The group of files with the lowest PSNR"),
)


def media_forms_section(audit: Mapping[str, Any]) -> None:
    """Draw the sentence on the smallest exact form, and the table of exact and lossy forms."""
    media, base = audit["media"], float(audit["codecs"]["none"]["bytes"])
    codecs = ordered_codecs(audit)
    best = min(codecs, key=lambda name: codecs[name]["bytes"])
    plain_paragraph(f"{best} is the smallest exact form: {percent(codecs[best]['bytes'] / base)} of the uncompressed size.")
    lines = [_cells(name, form["bytes"], base, {}) | {"worst": dict(UNKNOWN_CELL)} for name, form in codecs.items()]
    for name, form in ordered_forms(audit).items():
        whole, *groups = form["fidelity"]
        cells = _cells(name, form["bytes"], base, whole)
        if name == audit.get("in_use"):
            cells["form"]["sub"] = "in use"
        cells["worst"] = _worst_cell(groups)
        lines.append(cells)
    rows = [table_row(cells) for cells in lines]
    draw_table("form-costs", "Size and loss of each form", filled_columns(FORMS, rows, ("form", "bytes")), rows, compact=True)
    skipped = ", ".join(f"{n:,} {reason}" for reason, n in media["skipped"].items())
    of = f"{media['files']:,} of {formatting.plural(media['of'], 'file')} measured, evenly spaced"
    plain_caption(f"{of}{f'; skipped: {skipped}' if skipped else ''}. Loss is against the files as given.")


def _cells(name: str, size: float, base: float, figures: Mapping[str, Any]) -> dict[str, Cell]:
    """Return the size of one form and the mean figures of its files; exact forms have no such figures."""
    cells: dict[str, Cell] = {
        "form": {"t": name},
        "bytes": {"t": formatting.format_bytes(size)},
        "share": {"t": percent(size / base) if base else formatting.DASH},
    }
    for key in FIGURES:
        cells[key] = _figure_cell(key, figures[key]) if key in figures else dict(UNKNOWN_CELL)
    return cells


def _figure_cell(key: str, ends: list[float | None]) -> Cell:
    """A mean with its interval."""
    unit = " dB" if key in DECIBELS else ""
    value, low, high = (None if each is None else f"{format_figure(each)}" for each in ends)
    return {"t": f"{value}{unit}", "sub": f"{low} to {high}" if low and high else None}


def _worst_cell(groups: list[Mapping[str, Any]]) -> Cell:
    """Return the cell of the group with the lowest PSNR; a dash if there are no groups."""
    if not groups:
        return dict(UNKNOWN_CELL)
    worst = min(groups, key=lambda group: group["psnr"][0])
    return {
        "t": f"{worst['column']} {worst['level']}",
        "sub": f"{format_figure(worst['psnr'][0])} dB, {formatting.plural(worst['n'], 'file')}",
    }
