"""The audits that `audit-storage` stores with a dataset: the bytes that lossy forms save, the values they lose, the answers they change,
and which form is in use.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.metrics.trade_offs import FormResult, form_results
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

STORAGE_AUDITS = Records("dataset", ("dataset", "version", "at", "rows", "extra"), ever=True)
FIDELITY = ("psnr", "ssim", "snr")
"""The figures that are measured for each picture or sound, as far as they apply to its kind."""
EXACT = "exact"
"""The value of `in_use` if the data are stored exactly."""


@dataclass(frozen=True)
class FormFidelity:
    """How close a lossy form's pictures or sounds are to the exact ones, in one group of files.

    place: index in the audit's list. column, level: None if the group is all files. figures: the mean over files, by name (psnr, ssim,
    snr).
    """

    place: int
    column: str | None
    level: str | None
    n: int
    figures: Mapping[str, Interval]


@dataclass(frozen=True)
class StoredForm:
    """A lossy form of a dataset.

    bytes: size with zstd. decode: time to read it, as a multiple of the time to read the exact rows without compression; None if it was not
    measured. lost: number of values that it cannot represent. model: name and version of the model whose answers were compared. answers:
    decisions that the form changes, also by slice; None if no model was asked. fidelity: for pictures and sound, all files first; empty for
    tables.
    """

    name: str
    bytes: float
    decode: float | None
    lost: int
    model: tuple[str, str] | None
    answers: FormResult | None
    fidelity: tuple[FormFidelity, ...] = ()


@dataclass(frozen=True)
class StorageAudit:
    """The newest audit of a dataset.

    in_use: EXACT or the name of a lossy form. codec, exact_bytes, exact_decode: codec, size and reading time of the smallest exact form.
    least: for pictures and sound, the smallest psnr and ssim that the owner accepts.
    """

    dataset: str
    version: str
    at: datetime
    rows: int
    in_use: str
    codec: str
    exact_bytes: float
    exact_decode: float | None
    forms: tuple[StoredForm, ...]
    least: Mapping[str, float] = field(default_factory=dict)

    def form(self, name: str) -> StoredForm | None:
        """The lossy form with that name; None if the audit did not measure it."""
        return next((form for form in self.forms if form.name == name), None)

    def saved(self, form: StoredForm) -> float:
        """The share of the bytes of the smallest exact form that a lossy form saves; negative if the lossy form is larger."""
        return 1.0 - form.bytes / self.exact_bytes


def latest_storage_audits(frame: "DataFrame") -> list[StorageAudit]:
    """Return the newest audit of each dataset, by name.

    Parameters
    ----------
    frame : DataFrame
        The answer to STORAGE_AUDITS.

    Returns
    -------
    list of StorageAudit
        Records without an audit, and audits without bytes, are left out.
    """
    found: dict[str, StorageAudit] = {}
    for row in frame.sort_values(["at", "version"], kind="stable").to_dict("records"):
        extra = row["extra"] if isinstance(row["extra"], Mapping) else {}
        storage = extra.get("storage")
        codecs = storage_codecs(storage)
        if codecs and isinstance(storage, Mapping):
            codec = min(codecs, key=lambda name: (_number(codecs[name]["bytes"]), name))
            at, rows = aware_utc(row["at"]), int(row["rows"]) if row["rows"] == row["rows"] and row["rows"] is not None else 0
            exact = (codec, float(codecs[codec]["bytes"]), _number(codecs[codec].get("decode")))
            in_use = str(storage.get("in_use") or EXACT)
            forms = tuple(_stored_forms(storage.get("forms")))
            least = _stated_least(storage.get("least"))
            found[str(row["dataset"])] = StorageAudit(str(row["dataset"]), str(row["version"]), at, rows, in_use, *exact, forms, least)
    return [found[name] for name in sorted(found)]


def storage_codecs(storage: Any) -> dict[str, Mapping[str, Any]]:
    """The codecs in an audit that have a size, by name; empty if the additional field `storage` does not have the form that `audit-storage`
    writes.
    """
    codecs = storage.get("codecs") if isinstance(storage, Mapping) else None
    if not isinstance(codecs, Mapping):
        return {}
    return {str(name): cost for name, cost in codecs.items() if isinstance(cost, Mapping) and (_number(cost.get("bytes")) or 0) > 0}


def _stored_forms(listed: Any) -> Iterator[StoredForm]:
    """The lossy forms of an audit that have a size."""
    for name, form in listed.items() if isinstance(listed, Mapping) else ():
        size = _number(form.get("bytes")) if isinstance(form, Mapping) else None
        if size is None:
            continue
        lost = form.get("lost")
        told = form.get("model")
        told = told if isinstance(told, Mapping) else None
        names = {"probes": "rows", "flips": "flips", "max_delta": "largest", "p99_delta": "p99", "slices": "slices"}
        answers = (
            list(form_results([{"form": name} | {own: told[theirs] for own, theirs in names.items() if theirs in told}])) if told else []
        )
        yield StoredForm(
            str(name),
            size,
            _number(form.get("decode")),
            int(sum(_number(each) or 0 for each in lost.values())) if isinstance(lost, Mapping) else 0,
            (str(told.get("name")), str(told.get("version"))) if told else None,
            answers[0] if answers else None,
            tuple(_fidelity_rows(form.get("fidelity"))),
        )


def _stated_least(stated: Any) -> dict[str, float]:
    """The figures for which an audit states a minimum, with that minimum."""
    known = {str(name): _number(value) for name, value in stated.items()} if isinstance(stated, Mapping) else {}
    return {name: value for name, value in known.items() if value is not None}


def _fidelity_rows(listed: Any) -> Iterator[FormFidelity]:
    """The groups of files of a lossy form, as far as they state a number of files."""
    for place, row in enumerate(listed if isinstance(listed, list) else []):
        n = _number(row.get("n")) if isinstance(row, Mapping) else None
        if n is None:
            continue
        column, level = (None if row.get(name) is None else str(row[name]) for name in ("column", "level"))
        known = {name: row[name] for name in FIDELITY if isinstance(row.get(name), list) and len(row[name]) == 3}
        yield FormFidelity(
            place,
            column,
            level,
            int(n),
            {name: Interval(ends[0], ends[1], ends[2], n) for name, ends in known.items() if ends[0] is not None},
        )


def _number(value: Any) -> float | None:
    """The value, if it is a number of at least 0; else None."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return float(value) if known else None
