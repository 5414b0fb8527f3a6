"""Audits of a stored dataset in the form that `audit-storage` writes, without faults or with the given values."""

from datetime import datetime
from typing import Any

import numpy as np

from tests.support.form_audits import clean_form

AT = datetime(2026, 3, 4, 12)


def stored_form(rng: np.random.Generator, rate: float = 0.004, rows: int = 4000, **fields: Any) -> dict[str, Any]:
    """A lossy form that changes an equally small share of the decisions of `loan` 3 in every slice."""
    made = clean_form(rng, "any", rate, rows)
    model = {"name": "loan", "version": "3", "rows": rows, "largest": 0.03, "p99": 0.01, "mean": 0.001}
    model |= {"flips": made["flips"], "slices": made["slices"]}
    return {"bytes": 300, "encode": 0.5, "decode": 0.2, "errors": {"age": 0.01}, "lost": {}, "model": model} | fields


def storage_audit(forms: dict[str, dict[str, Any]], in_use: str | None = None, **fields: Any) -> dict[str, Any]:
    """A `dataset` record with an audit, in the form in which the store returns it. in_use: None if the data are stored exactly."""
    codecs = {"none": {"bytes": 1000, "encode": 1.0, "decode": 1.0, "columns": {"age": 900}}}
    codecs |= {"zstd": {"bytes": 400, "encode": 1.5, "decode": 0.4, "columns": {"age": 350}}}
    storage = {"codecs": codecs, "forms": forms, "tags": {}} | ({"in_use": in_use} if in_use else {})
    return {"dataset": "people", "version": "1", "at": AT, "rows": 4000, "extra": {"storage": storage}} | fields


def media_audit(seed: int = 1, in_use: str | None = None, least: dict[str, float] | None = None, **groups: float) -> dict[str, Any]:
    """A `dataset` record with an audit of 60 pictures, in the form in which the store returns it. groups: the mean PSNR of each folder; a
    folder has 20 pictures.
    """
    whole = float(np.random.default_rng(seed).uniform(36, 40))

    def row(level: str | None, n: int, psnr: float) -> dict[str, Any]:
        ends = {"psnr": [psnr, psnr - 0.6, psnr + 0.6], "ssim": [0.95, 0.94, 0.96]}
        return {"column": level and "folder", "level": level, "n": n, **ends}

    fidelity = [row(None, 60, whole), *(row(level, 20, psnr) for level, psnr in groups.items())]
    codecs = {"none": {"bytes": 9000, "columns": {}}, "PNG": {"bytes": 4000, "columns": {}}}
    storage = {"codecs": codecs, "forms": {"JPEG 75": {"bytes": 900, "fidelity": fidelity}}, "tags": {}, "least": least or {}}
    storage |= {"media": {"kind": "pictures", "files": 60, "of": 60, "skipped": {}}} | ({"in_use": in_use} if in_use else {})
    return {"dataset": "photos", "version": "1", "at": AT, "rows": 60, "extra": {"storage": storage}}
