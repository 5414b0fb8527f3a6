"""Tests of the output of `load`: progress, the first rejected line of each reason with its remedy, and the cases with exit code 1."""

import pytest

from observability.cli.load_report import load_outcome, load_progress, rejection_error, rejection_remedy, with_column, work_progress
from observability.cli.parser import parser
from observability.core.errors import UsageError
from observability.store.types.loading import LoadDefaults, LoadReport


def test_progress_of_a_large_file_has_a_rate_and_the_time_left() -> None:
    said: list[str] = []
    seconds = iter([0.0, 0.0, 1.0, 10.0, 20.0, 20.0])
    note = load_progress(said.append, lambda: next(seconds))
    note(0, 100_000_000)
    note(1_000_000, 100_000_000, 5_000)
    note(10_000_000, 100_000_000, 50_000)
    note(100_000_000, 100_000_000, 500_000)
    note(500_000, 1_000_000, 5_000)
    assert said == [
        "loading: 0.0 of 100.0 MB",
        "loading: 1.0 of 100.0 MB",
        "loading: 10.0 of 100.0 MB, 5,000 lines/s, about 1:30 left",
        "loading: 100.0 of 100.0 MB, 25,000 lines/s, about 0:00 left",
        "loading: 0.5 of 1.0 MB",
    ], "no progress in the first seconds, nor for a small file"


def test_progress_of_other_long_work_has_a_rate_and_the_time_left() -> None:
    said: list[str] = []
    seconds = iter([0.0, 10.0, 10.05, 20.0, 30.0, 34.0])
    note = work_progress(said.append, lambda: next(seconds))
    note("copying the database", 0, 100_000_000, "bytes")
    note("copying the database", 10_000_000, 100_000_000, "bytes")
    note("copying the database", 10_100_000, 100_000_000, "bytes")
    note("copying the database", 100_000_000, 100_000_000, "bytes")
    note("checking loan", 0, 8, "models")
    note("checking credit", 2, 8, "models")
    assert said == [
        "copying the database: 0.0 of 100.0 MB",
        "copying the database: 10.0 of 100.0 MB, 1.0 MB/s, about 1:30 left",
        "copying the database: 100.0 of 100.0 MB",
        "checking loan: 0 of 8 models",
        "checking credit: 2 of 8 models, 0.5 models/s, about 0:12 left",
    ], "the clock restarts with other work, and reports of the same work keep their distance in time"


def test_a_rejected_line_is_reported_with_its_column_and_a_remedy() -> None:
    defaults = LoadDefaults(renames={"when": "at"}, versions=("1", "2"))
    message = "a.csv, line 2: 'at' has no offset: the text \"2013-07-01T10:00:00\""
    file = LoadReport(3, 2, 0, 1, {"no_offset": 1}, examples={"no_offset": message})
    landed = LoadReport(1, 0, 0, 1, {"bad_value": 1}, examples={"bad_value": "'score' is a probability"})
    lines = load_outcome(file + landed, False, files=file, defaults=defaults).out.splitlines()
    assert lines[1:] == [
        "  1 × bad_value, first: 'score' is a probability",
        "  1 × no_offset, first: a.csv, line 2: 'at' (column 'when') has no offset: the text \"2013-07-01T10:00:00\". "
        "Give their time zone, for example --timezone Europe/Paris.",
    ]
    assert with_column("'score' is a number", {"when": "at"}) == "'score' is a number"
    needed = "a prediction needs {!r} (text); it has none"
    assert rejection_remedy("missing_field", needed.format("version"), defaults) == "Give --version, one of 1 and 2"
    assert rejection_remedy("missing_field", needed.format("model"), defaults) == "Give --model"
    assert rejection_remedy("missing_field", needed.format("id"), defaults).endswith("--map THEIR_NAME=id")


def test_the_allowed_share_of_rejected_lines_decides_whether_a_load_fails() -> None:
    some, every = LoadReport(100, 89, 1, 10), LoadReport(10, 0, 0, 10)
    assert rejection_error(some, None) == rejection_error(some, 0.1) == rejection_error(every, 1.0) == rejection_error(None, 0.0) == ""
    assert "Nothing was stored" in rejection_error(every, None)
    assert rejection_error(some, 0.09).startswith("10 of 100 lines") and rejection_error(every, 0.5)


@pytest.mark.parametrize(
    ("words", "allowed", "files"),
    [
        ("a.csv", None, ["a.csv"]),
        ("a.csv --allow-rejected", 1.0, ["a.csv"]),
        ("--allow-rejected a.csv b.csv", 1.0, ["a.csv", "b.csv"]),
        ("a.csv --allow-rejected 0.05", 0.05, ["a.csv"]),
        ("--allow-rejected 0 a.csv", 0.0, ["a.csv"]),
        ("--allow-rejected=0.5 --kind label a.csv", 0.5, ["a.csv"]),
    ],
)
def test_the_allowed_share_option_may_stand_before_or_after_the_files(words: str, allowed: float | None, files: list[str]) -> None:
    args = parser().parse_args(["load", *words.split()])
    assert (args.allow_rejected, [name.rsplit("/", 1)[-1] for name in args.files]) == (allowed, files)


@pytest.mark.parametrize("share", ["2", "-0.1", "nan"])
def test_a_share_beyond_one_is_refused(share: str) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        parser().parse_args(["load", "a.csv", f"--allow-rejected={share}"])
