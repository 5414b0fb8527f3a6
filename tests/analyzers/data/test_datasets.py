"""A dataset version is named only if it was logged with two different contents."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from observability.analyzers.data import datasets
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)


def logged(version: str, day: float, checksum: str | None, rows: int = 100, dataset: str = "loans") -> dict:
    """One record, the given number of days after the window's start."""
    return {"dataset": dataset, "version": version, "at": START + timedelta(days=day), "rows": rows, "checksum": checksum}


def said(*rows: dict) -> list[Finding]:
    """The findings about records, which may come in any order."""
    frame = pd.DataFrame(rows, columns=["dataset", "version", "at", "rows", "checksum"]).astype({"at": "datetime64[us]", "rows": "Int64"})
    for name in ("dataset", "version", "checksum"):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    window = Window("", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
    return datasets.analyze({"datasets": frame}, Context(EVERY_MODEL, NO_VERSION, window, window.end, 0.01))


def test_dataset_versions_with_one_content_each_are_ok_even_if_two_are_identical() -> None:
    (found,) = said(logged("1", 1, "sha256:aa"), logged("1", 2, "sha256:aa"), logged("2", 3, "sha256:aa"))
    assert (found.severity, found.value, found.subject, found.model) == ("ok", 1.0, "dataset:loans", None)
    assert "2 versions of dataset `loans`" in found.because


def test_a_dataset_version_with_two_contents_is_critical_from_the_day_it_changed() -> None:
    (found,) = said(logged("1", -30, "sha256:aaaaaaaaaaaaaaaa"), logged("1", 3, "sha256:bbbbbbbbbbbbbbbb"), logged("2", 4, "sha256:cc"))
    assert (found.severity, found.value, found.limit) == ("act", 2.0, 1.0)
    assert "Version `1`" in found.because and "sha256:aaaaaaaa…; sha256:bbbbbbbb…" in found.because
    assert found.onset == (START + timedelta(days=3)).replace(tzinfo=UTC) and found.evidence["dataset_version"] == "1"


@pytest.mark.parametrize(("second", "severity"), [(101, "act"), (100, "unknown")])
def test_without_a_checksum_row_counts_can_prove_a_difference_but_not_equality(second: int, severity: str) -> None:
    (found,) = said(logged("1", 1, None), logged("1", 2, "sha256:aa", second))
    assert found.severity == severity


def test_datasets_logged_only_before_the_window_give_no_finding() -> None:
    assert said(logged("1", -9, "sha256:aa"), logged("1", -8, "sha256:bb")) == []
    assert said() == []
    names = [each.subject for each in said(logged("1", -9, "a"), logged("1", -8, "b"), logged("1", 1, "a", dataset="people"))]
    assert names == ["dataset:people"]
