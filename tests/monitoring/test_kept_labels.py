"""Annotators' labels are read once, for findings and for the page, until a new record arrives."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from observability.analyzers.data.labelling import ANALYZER
from observability.core.finding import Finding
from observability.core.window import Window
from observability.metrics.labelled_window import LABELLED, LabelledWindow
from observability.monitoring.check import record_findings
from observability.monitoring.kept_labels import keeper_of_labels
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 30, tzinfo=UTC)


def answers(first: int, last: int) -> list[dict[str, object]]:
    """Labels by three people, one item an hour."""
    return [
        {
            "kind": "annotation",
            "project": "moods",
            "item": f"i{item}",
            "annotator": f"a{person}",
            "label": "good" if (item + person) % 5 else "bad",
            "gold": "good",
            "at": NOW - timedelta(hours=item, minutes=person),
        }
        for item in range(first, last)
        for person in range(3)
    ]


def test_findings_and_page_share_one_reading_until_a_record_arrives(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        store.write_records(answers(1, 400))
        read: list[LabelledWindow] = []

        def judged() -> list[Finding]:
            keep = keeper_of_labels(store, dict(store.generations))

            def reading(window: Window) -> LabelledWindow:
                read.append(keep(window))
                return read[-1]

            return record_findings(store, None, now=NOW, only=(ANALYZER.name,), shared={LABELLED: reading})

        assert judged() == record_findings(store, None, now=NOW, only=(ANALYZER.name,)) and len(read) == 1
        judged()
        assert read[1] is read[0], "the labels are read once"
        assert len(read[0].project("moods").answers) == 3 * 399 and read[0].project("other").answers.empty
        store.write_records(answers(400, 410))
        judged()
        assert len(read[2].project("moods").answers) == 3 * 409, "new labels are read"
