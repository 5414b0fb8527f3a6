"""The page Label quality: its figures equal counts by hand and those of the metrics, and its links lead to the item."""

from collections.abc import Iterator
from datetime import UTC, timedelta

import pandas as pd
import pytest

from observability.core import formatting
from observability.dashboard import load
from observability.metrics import crowd_quality
from observability.server import process_lock
from observability.stats.agreement import krippendorff_alpha
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.labelling_world import CLASSES, END, START, project
from tests.support.new_store import new_store

DATES = {"window": "Chosen dates", "from": f"{START - timedelta(days=21):%Y-%m-%dT%H:%M}", "to": f"{END:%Y-%m-%dT%H:%M}"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return project(3, items_a_day=12, days=28, weak="ann-2", weak_by=0.35, weak_since=START - timedelta(days=99))


@pytest.fixture
def owned(rows: pd.DataFrame, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A store without any model, with a project of six people, one of whom (ann-2) is weak."""
    store = new_store(tmp_path / "home", threads=1)
    at = START - timedelta(days=60)
    lines = [
        {
            "kind": "price",
            "from": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "resource": "label",
            "amount": 0.5,
            "currency": "EUR",
        }
    ]
    for each in rows.to_dict("records"):
        given = {name: value for name, value in each.items() if value is not None and value == value}
        lines.append({"kind": "annotation", **given, "at": f"{each['at']:%Y-%m-%dT%H:%M:%S.%f}Z"})
    land(store, lines, tmp_path)
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    yield store
    store.close()


def test_label_quality_of_a_project_without_a_model_uses_all_its_labels(owned: Database, rows: pd.DataFrame) -> None:
    app = opened("label_quality", annotator="ann-2", **DATES)
    page, found = words(app), tables(app)
    alpha = krippendorff_alpha(rows.groupby("item")["label"].apply(list).tolist())
    assert f"Krippendorff's alpha {formatting.value_with_interval(*alpha.triple)} on {alpha.n:,} items" in page
    people = [each["cells"] for each in found["Annotators, the last rank first"]["rows"]]
    assert people[0]["annotator"]["t"] == "ann-2" and people[0]["rank"] == {"t": "6", "sub": "6 to 6"}
    assert people[0]["labels"]["t"] == f"{(rows['annotator'] == 'ann-2').sum():,}" and "ann-2: most often" in page
    votes = rows.groupby("item")["label"].agg(lambda labels: sorted(labels.value_counts().tolist(), reverse=True))
    settled = sum(each[0] >= 2 and each[1:2] != [each[0]] for each in votes)
    assert f"{settled:,} of {len(votes):,} items are settled" in page
    cost = [each["cells"] for each in found["What labels cost"]["rows"]]
    assert cost[0]["figure"]["t"] == f"EUR {len(rows) * 0.5:,.2f}" and cost[1]["figure"]["t"] == f"EUR {len(rows) * 0.5 / settled:,.2f}"
    names = tuple(map(str, CLASSES))
    crowd = crowd_quality.crowd_of(crowd_quality.newest_answers(rows), names, crowd_quality.suggested_probabilities(rows, names))
    suspects = crowd_quality.suspect_labels(crowd, {})
    shown = found.get("Suspect labels, the least likely first", {"rows": []})["rows"]
    assert [each["cells"]["item"]["t"] for each in shown] == suspects["item"].head(20).tolist()
    assert all(each["cells"]["again"]["go"]["page"] == "annotate" for each in shown)
    assert "first labels differ from the known answer" in page and "Assignment by skill" in page


def test_few_labels_show_only_how_many_more_are_needed(owned: Database, rows: pd.DataFrame) -> None:
    first = rows["at"].min()
    dates = {"window": "Chosen dates", "from": f"{first:%Y-%m-%dT%H:%M}", "to": f"{first + timedelta(minutes=90):%Y-%m-%dT%H:%M}"}
    inside = rows[(rows["at"] >= pd.Timestamp(dates["from"])) & (rows["at"] < pd.Timestamp(dates["to"]))]
    several = int((inside.groupby("item").size() > 1).sum())
    page = words(opened("label_quality", **dates))
    assert 0 < several < 30 and f"about {30 - several} more are needed" in page and "Annotators, the last" not in page


def test_dates_without_labels_say_so(owned: Database) -> None:
    page = words(opened("label_quality", **{"window": "Chosen dates", "from": "2025-03-02T00:00", "to": "2025-03-09T00:00"}))
    assert "these dates hold no labels of two classes" in page


def test_the_project_sets_the_dates_and_few_new_labels_link_to_earlier_dates(
    owned: Database, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A label given today in another project changes nothing; a label in the same project moves the dates, and the page links back to the
    earlier dates.
    """
    now = END.replace(tzinfo=UTC) + timedelta(days=200)
    monkeypatch.setattr(load, "page_clock", lambda: now)
    new = {
        "kind": "annotation",
        "item": "n1",
        "annotator": "kim",
        "at": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "label": "neutral",
    }
    owned.write_records([{**new, "project": "gestures"}])
    last = rows[rows["at"] >= START]
    for page in ("labelling", "label_quality"):
        shown = words(opened(page, project="moods"))
        assert f"**{len(last):,} labels**" in shown and "Few labels in these dates" not in str(
            opened(page, project="moods").get("page_link")
        )
    owned.write_records([{**new, "project": "moods"}])
    for page in ("labelling", "label_quality"):
        (link,) = [each.proto for each in opened(page, project="moods").get("page_link") if "Few labels" in each.proto.label]
        assert "2026-04-27" in str(link.query_string) and "moods" in str(link.query_string)
