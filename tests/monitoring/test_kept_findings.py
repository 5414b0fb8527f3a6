"""Findings are kept until their inputs change, and also from one process to the next."""

import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.core.finding import FAILED, KEPT_FILE, Finding
from observability.core.window import Slice, Window
from observability.monitoring import kept_findings
from observability.monitoring.kept_findings import Asked, KeptFindings

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=7)
SLICED = Window("loan", START, END, version="1", slice=Slice((("carrier", "a=b&c"),)), as_of=END)


def asked(model: str = "loan", days: int = 7) -> Asked:
    return Asked(Window(model, START, START + timedelta(days=days)), "aggregates", END)


def finding(model: str = "loan", value: float | None = 0.25) -> Finding:
    """A finding that uses fields of every kind."""
    return Finding(
        "data/quality", model, "1", "age", "null_rate", value, 400, "act", "A quarter is missing.", START, END, "reference",
        unit="share", low=0.2, high=0.3, limit=(0.0, 0.1), onset=START + timedelta(days=2), incident="i1", likely_source="input",
        event={"at": "2026-03-03T00:00:00Z", "what": "deploy"}, evidence={"windows": [{"days": 1, "value": None}], "nan": [1, 2.5]},
        rank=3.0, news="new", acknowledged=True, proof="SELECT 1",
    )  # fmt: skip


@pytest.fixture
def kept() -> KeptFindings:
    held = KeptFindings()
    held.keep(asked(), 3, (finding(), replace(finding(), limit=0.1, onset=None, event=None)))
    held.keep(Asked(SLICED, "rows", END), 3, ())
    return held


def restored(home: Path) -> tuple[KeptFindings, int]:
    found = KeptFindings()
    return found, found.restore(home)


@pytest.mark.parametrize(("most", "saved"), [(kept_findings.MAX_IN_MEMORY, kept_findings.MAX_IN_FILE), (1200, 300)])
def test_the_questions_of_the_first_page_of_a_large_fleet_are_saved(most: int, saved: int, tmp_path: Path) -> None:
    held = KeptFindings()
    held.most = most
    for place in range(300):
        held.keep(asked(f"model {place}"), 3, ())
    held.save(tmp_path, {"": 3})
    assert restored(tmp_path)[1] == saved


def test_saved_findings_are_restored_unchanged(kept: KeptFindings, tmp_path: Path) -> None:
    kept.save(tmp_path, {"": 3})
    found, count = restored(tmp_path)
    assert count == 2
    assert found.find(asked(), 3) == kept.find(asked(), 3)
    assert found.find(Asked(SLICED, "rows", END), 3) == ()
    assert found.restore(tmp_path) == 0, "the file is read once, because later findings in memory are newer"


def test_many_checks_in_one_day_leave_only_the_last_answer_of_each_question() -> None:
    held = KeptFindings()
    for hour in range(24):
        for reads in ("rows", "counts"):
            held.keep(Asked(SLICED, reads, END + timedelta(hours=hour)), 3, (finding(),))
    assert len(held._kept) == 2
    assert held.find(Asked(SLICED, "rows", END + timedelta(hours=23)), 3) == (finding(),)


def test_the_number_of_kept_findings_is_bounded_in_memory_and_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_findings, "MAX_FINDINGS", 50)
    monkeypatch.setattr(kept_findings, "MAX_FINDINGS_IN_FILE", 25)
    held = KeptFindings()
    for place in range(30):
        held.keep(asked(f"model {place}"), 3, (finding(),) * 10)
    assert [held.find(asked(f"model {place}"), 3) is not None for place in range(30)] == [False] * 25 + [True] * 5
    held.save(tmp_path, {"": 3})
    assert restored(tmp_path)[1] == 2
    held.keep(asked("wide"), 3, (finding(),) * 90)
    assert held.find(asked("wide"), 3) is not None and len(held._kept) == 1, "the newest entry stays, whatever its size"


def test_the_file_is_readable_by_its_owner_only(kept: KeptFindings, tmp_path: Path) -> None:
    kept.save(tmp_path, {"": 3})
    assert (tmp_path / KEPT_FILE).stat().st_mode & 0o777 == 0o600


def test_findings_saved_by_another_program_version_are_not_restored(
    kept: KeptFindings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.save(tmp_path, {"": 3})
    monkeypatch.setattr(kept_findings, "program_digest", lambda: "another")
    assert restored(tmp_path)[1] == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"program": 3, "kept": [1]}', "\x00"])
def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / KEPT_FILE).write_text(text)
    assert restored(tmp_path)[1] == 0


def test_if_one_saved_finding_is_damaged_no_finding_is_restored(kept: KeptFindings, tmp_path: Path) -> None:
    kept.save(tmp_path, {"": 3})
    path = tmp_path / KEPT_FILE
    head, *lines = path.read_text().splitlines()
    bodies = list(map(json.loads, lines))
    del next(body for body in bodies if body["findings"])["findings"][0]["start"]
    path.write_text("".join(f"{line}\n" for line in (head, *map(json.dumps, bodies))))
    assert restored(tmp_path)[1] == 0


def test_only_new_findings_are_appended_to_the_file_and_read(kept: KeptFindings, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "state").mkdir()
    path = tmp_path / "home" / KEPT_FILE
    kept.save(tmp_path / "home", {"": 3})
    reader, before = KeptFindings(), path.read_bytes()
    assert reader.restore(tmp_path / "home") == 2
    kept.keep(asked("price"), 3, (finding("price"),))
    kept.save(tmp_path / "home", {"": 3})
    after = path.read_bytes()
    assert after.startswith(before) and after.count(b"\n") == before.count(b"\n") + 1
    assert reader.restore(tmp_path / "home") == 1 and reader.find(asked("price"), 3) == (finding("price"),)
    kept.keep(asked("churn"), 3, ())
    kept.save(tmp_path / "state", {"": 3})
    assert (tmp_path / "state" / KEPT_FILE).read_bytes().startswith(after), "a new state file begins with the content of the old one"
    assert (tmp_path / "state" / KEPT_FILE).stat().st_mode & 0o777 == 0o600
    assert restored(tmp_path / "state")[1] == 4 and restored(tmp_path / "home")[1] == 3
    path.write_bytes(after[:-9])
    assert restored(tmp_path / "home")[1] == 2, "an incomplete line is left out"


def test_a_file_with_more_outdated_than_current_findings_is_rewritten(kept: KeptFindings, tmp_path: Path) -> None:
    for generation in range(4, 9):
        kept.keep(asked(), generation, ())
        kept.save(tmp_path, {"": generation})
        assert len((tmp_path / KEPT_FILE).read_text().splitlines()) <= 1 + 2
    assert restored(tmp_path)[0].find(asked(), 8) == ()
    (tmp_path / KEPT_FILE).unlink()
    kept.keep(asked(), 9, ())
    kept.save(tmp_path, {"": 9})
    assert restored(tmp_path)[1] == 1, "if the file was removed, it is written completely"


def test_only_findings_of_the_present_state_are_saved(kept: KeptFindings, tmp_path: Path) -> None:
    kept.keep(asked("price"), 2, (finding("price"),))
    kept.save(tmp_path, {"": 2, "loan": 4})
    found, count = restored(tmp_path)
    assert count == 1
    assert found.find(asked("price"), 2) == (finding("price"),)


def test_failed_analyses_are_not_saved(kept: KeptFindings, tmp_path: Path) -> None:
    kept.keep(asked("price"), 3, (finding("price"), replace(finding("price"), because=f"{FAILED}: MemoryError: none left")))
    kept.save(tmp_path, {"": 3})
    assert restored(tmp_path)[1] == 2, "only the entries of the other model are restored"


def test_a_file_that_holds_everything_is_not_written_again(kept: KeptFindings, tmp_path: Path) -> None:
    kept.save(tmp_path, {"": 3})
    found, _ = restored(tmp_path)
    (tmp_path / KEPT_FILE).unlink()
    found.save(tmp_path, {"": 3})
    assert not (tmp_path / KEPT_FILE).exists()
    found.keep(asked(days=1), 3, ())
    found.save(tmp_path, {"": 3})
    assert restored(tmp_path)[1] == 3


def test_findings_of_another_generation_are_not_found(kept: KeptFindings) -> None:
    assert kept.find(asked(), 4) is None


def test_the_least_recently_used_findings_are_dropped(kept: KeptFindings) -> None:
    kept.most = 2
    kept.find(asked(), 3)
    kept.keep(asked(days=1), 3, ())
    assert kept.find(asked(), 3) and kept.find(asked(days=1), 3) == ()
    assert kept.find(Asked(SLICED, "rows", END), 3) is None


def test_the_kept_findings_of_a_large_fleet_have_room_for_every_model() -> None:
    class AnyStore:
        pass

    store: Any = AnyStore()
    assert kept_findings.kept_findings_of(store).most == kept_findings.MAX_IN_MEMORY
    kept = kept_findings.kept_findings_of(store, 1000)
    for place in range(1000):
        kept.keep(asked(f"model {place}"), 1, ())
    assert kept_findings.kept_findings_of(store).find(asked("model 0"), 1) == ()


def test_a_caller_that_asks_during_a_computation_waits_for_the_same_findings() -> None:
    kept, computed, answers = KeptFindings(), [], []
    gate = threading.Event()

    def compute() -> list[Finding]:
        computed.append(1)
        assert gate.wait(60)
        return [finding()]

    threads = [threading.Thread(target=lambda: answers.append(kept.find_or_compute(asked(), 1, compute))) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    gate.set()
    for thread in threads:
        thread.join()
    assert computed == [1]
    assert answers == [(finding(),)] * 4


def test_a_failure_is_raised_and_not_kept() -> None:
    kept = KeptFindings()
    with pytest.raises(ZeroDivisionError):
        kept.find_or_compute(asked(), 1, lambda: [finding(value=1 / 0)])
    assert kept.find_or_compute(asked(), 1, lambda: [finding()]) == (finding(),)
