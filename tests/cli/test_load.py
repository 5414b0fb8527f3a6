"""`load` on the command line: what it takes from the registered version, and its messages about rejected lines."""

import gzip
from pathlib import Path

from tests.support.commanding import Command, one_sentence


def test_load_takes_the_only_version_and_skips_row_numbers(command: Command, tmp_path: Path) -> None:
    home, first, later = tmp_path / "home", tmp_path / "first.csv", tmp_path / "later.csv"
    first.write_text("id,at,age,score\na,2026-11-01T00:00:00Z,41,0.5\n")
    later.write_text(",id,at,age,score\n0,b,2026-11-01T00:00:00Z,42,0.5\n1,c,2026-11-01T00:00:00Z,43,0.5\n")
    load = ("load", "--kind", "prediction", "--model", "loan")
    one_sentence(command(home, *load, first), 2, "--version")
    assert command(home, *load, first, "--version", "7").code == 0
    assert command(home, *load, later, "--json").json()["stored"] == 2
    row = command(home, "case", "c", "--json").json()["prediction"]
    assert (row["version"], row["features"]) == ("7", {"age": 43.0})


def test_decimal_commas_are_registered_and_loaded_with_their_option(command: Command, tmp_path: Path) -> None:
    home, held_out = tmp_path / "home", tmp_path / "held_out.csv.gz"
    text = "y;p;age\n" + "".join(f"{i % 2};0,{i % 9 + 1};{20 + i % 40},5\n" for i in range(120))
    held_out.write_bytes(gzip.compress(text.encode()))
    register = (
        "register",
        "--model",
        "loan",
        "--version",
        "1",
        "--task",
        "binary",
        "--label",
        "y",
        "--score",
        "p",
        "--reference",
        held_out,
    )
    one_sentence(command(home, *register), 2, "--decimal ,")
    assert command(home, *register, "--decimal", ",").code == 0
    served = tmp_path / "served.csv"
    served.write_text("id;at;score;age\na;2026-11-01T00:00:00Z;0,25;41,5\n")
    load = ("load", "--kind", "prediction", "--model", "loan", served)
    one_sentence(command(home, *load), 2, "--decimal ,")
    assert command(home, *load, "--decimal", ",", "--json").json()["stored"] == 1
    row = command(home, "case", "a", "--json").json()["prediction"]
    assert (row["score"], row["features"]) == (0.25, {"age": 41.5})


def test_a_rejected_load_names_column_line_zone_and_versions(command: Command, tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "served.csv"
    file.write_text("key,when,score\na,2026-11-01T00:00:00Z,0.5\nb,2026-11-01T00:00:00,0.5\nc,2026-11-01T01:00:00,0.5\n")
    load = ("load", file, "--kind", "prediction", "--model", "loan", "--map", "when=at", "--map", "key=id")
    done = command(home, *load, "--version", "1")
    assert done.code == 0 and "served.csv, line 3: 'at' (column 'when') has no offset" in done.out and "--timezone Europe/Paris" in done.out
    done = command(home, *load, "--version", "1", "--allow-rejected", "0.5")
    assert done.code == 1 and "2 of 3 lines" in done.error
    assert command(home, *load, "--version", "2").code == 0
    one_sentence(command(home, *load), 2, "--version (1 and 2)")


def test_a_load_that_stored_nothing_ends_with_2_unless_that_is_allowed(command: Command, tmp_path: Path) -> None:
    home, lines = tmp_path / "home", tmp_path / "lines.jsonl"
    lines.write_text('{"kind": "prediction"}\n{\n')
    done = command(home, "load", lines)
    assert done.code == 2
    assert "2 rejected" in done.out and "--allow-rejected" in done.error
    assert command(home, "load", lines, "--allow-rejected").code == 0
    lines.write_text('{"kind": "event", "at": "2026-11-01T00:00:00Z", "what": "note", "text": "x"}\n')
    assert [command(home, "load", lines).code for _ in range(2)] == [0, 0], "already stored lines are not a failure"


def test_a_source_with_unreadable_files_ends_with_exit_code_2(command: Command, tmp_path: Path) -> None:
    """By the contract, exit code 1 means that something needs a person, and is used only if that was asked for."""
    home, folder = tmp_path / "home", tmp_path / "days"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"kind": "event", "at": "2026-11-01T00:00:00Z", "what": "note", "text": "x"}\n')
    (folder / "b.parquet").write_bytes(b"no parquet")
    done = command(home, "load", folder)
    assert done.code == 2 and "1 stored" in done.out and "not read: b.parquet" in done.out
    assert "1 file could not be read; the next load tries it again" in done.error
    named = command(home, "load", folder / "b.parquet")
    assert named.code == 2, "the same code as for a single file that is named"
    assert command(home, "load", folder, "--allow-rejected").code == 2
