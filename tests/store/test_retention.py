"""Expired rows are removed, their counts are kept, and rows that arrive again are not counted twice."""

import json
from datetime import UTC, datetime

import pytest

from observability.core.errors import UsageError
from observability.store.db.keeping import FILE
from observability.store.opener import restore_home
from observability.store.retention import apply_retention
from observability.store.rollup import rollup
from tests.store.conftest import query, rollups
from tests.support.new_store import new_store
from tests.support.record_lines import OTHERS, label, prediction

NOW = datetime(2024, 3, 20, 3, tzinfo=UTC)


def keeping(store, text):
    (store.home / FILE).write_text(text)


def test_old_rows_are_removed_their_counts_stay_and_they_are_refused_if_sent_again(store, landed, tmp_path):
    old = [prediction(i, subject=f"old-person-{i}", label=i % 2) for i in range(4)]
    young = [prediction(i, id=f"y{i}", at="2024-03-15T10:00:00Z", label=1) for i in range(3)]
    landed(*old, *young, label(9), b"{")
    before = rollups(store)
    keeping(store, "[retention]\nrows = 10\nrejected = 1\n")
    plan = apply_retention(store, dry_run=True, now=NOW)
    assert plan["removed"] == [{"what": "rows", "model": "loan", "before": "2024-03-10", "rows": 5}] and not plan["rewritten"]
    assert query(store, "SELECT count(*) FROM predictions_1") == [(7,)], "a preview removes nothing"
    done = apply_retention(store, now=NOW)
    assert done["removed"] == plan["removed"] and done["rewritten"] and apply_retention(store, now=NOW)["removed"] == []
    assert query(store, "SELECT count(*) FROM predictions_1") == [(3,)] and query(store, "SELECT count(*) FROM labels_1") == [(3,)], (
        "a label without a prediction is removed too"
    )
    store.cursor().execute("CHECKPOINT")
    assert b"old-person" not in store.path.read_bytes()
    assert rollups(store) == before
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "loan")
    assert rollups(store) == before, "a rebuild keeps the counts of removed rows"
    landed(label(0, at="2024-03-11T00:00:00Z"))
    assert apply_retention(store, now=NOW)["removed"] == [], "a late label of a removed prediction stays as long as other rows do"
    assert apply_retention(store, now=NOW.replace(day=22))["removed"][0]["rows"] == 1
    assert query(store, "SELECT count(*) FROM labels_1") == [(3,)]
    report = landed(*old, young[0], prediction(8, at="2024-03-16T00:00:00Z"))
    assert (report.stored, report.duplicates, report.reasons) == (1, 1, {"expired": 4}) and report.lines == 6
    assert query(store, "SELECT count(*) FROM rejected WHERE raw LIKE '%old-person%'") == [(0,)]
    assert store.catalog().model("loan").rows_from == datetime(2024, 3, 12, tzinfo=UTC)
    store.backup(tmp_path / "backups")
    restore_home(tmp_path / "other", tmp_path / "backups")
    with new_store(tmp_path / "other") as other:
        assert other.catalog().model("loan").rows_from == datetime(2024, 3, 12, tzinfo=UTC)


def test_kinds_and_models_have_days_of_their_own(store, landed):
    landed(prediction(0), prediction(0, model="other"), {"kind": "step", **OTHERS["step"]}, {"kind": "event", **OTHERS["event"]}, b"{")
    keeping(store, "[retention]\nrows = 5\nexplanations = 2\n[retention.models.other]\nrows = 100\n[retention.kinds]\nstep = 3\n")
    done = apply_retention(store, now=NOW)
    assert [(each["what"], each["model"], each["rows"]) for each in done["removed"]] == [("rows", "loan", 1), ("step", None, 1)]
    assert query(store, "SELECT count(*) FROM predictions_2") == query(store, "SELECT count(*) FROM events") == [(1,)]
    assert query(store, "SELECT count(*) FROM rejected") == [(1,)]


@pytest.mark.parametrize(
    ("text", "named"),
    [("[retention]\nrow = 3\n", "row"), ("[retention]\nrows = 0\n", "rows"), ("[retention.kinds]\nprediction = 3\n", "prediction"),
     ("[retention]\nmodels = 3\n", "models"), ("[backup]\nfolder = 'here'\n", "absolute"), ("[", "cannot be read")],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_named_and_remove_nothing(store, landed, text, named):
    landed(prediction(0))
    keeping(store, text)
    with pytest.raises(UsageError, match=named):
        apply_retention(store, now=NOW)
    assert json.loads(json.dumps(query(store, "SELECT count(*) FROM predictions_1"))) == [[1]]
