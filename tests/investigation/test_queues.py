"""Each queue contains the rows that a loop over the raw records finds, in the stated order."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.core.window import Window
from observability.investigation import queues
from observability.investigation.evidence_types import NotGivenError
from tests.support.case_world import END, HOSTILE, START, World, moment

WINDOW = Window("loan", START, END + timedelta(days=1))


def loan_rows(world: World) -> pd.DataFrame:
    """The raw rows of the model `loan`, with columns computed by hand."""
    frame = world.loan.copy()
    frame["id"] = [f"both-{place + 1}" if place < 2 else f"loan-{place}" for place in range(len(frame))]
    frame["at"] = [moment(place, len(frame)) for place in range(len(frame))]
    frame.loc[300, "label"] = 1 - frame.loc[300, "label"]
    frame["labelled"] = (np.arange(len(frame)) < len(frame) - 40) & (frame["id"] != "loan-200")
    chance = np.where(frame["label"] == 1, frame["score"], 1 - frame["score"])
    frame["loss"] = -np.log(chance)
    return frame


def test_the_queue_of_largest_losses_ranks_only_labels_that_arrived(case_world: World) -> None:
    start, end = START + timedelta(days=10), START + timedelta(days=17)
    found = queues.largest_loss(case_world.store, Window("loan", start, end), 15).frame
    rows = loan_rows(case_world)
    arrived = rows["at"] + timedelta(hours=2)
    wanted = rows[(arrived >= start) & (arrived < end) & rows["labelled"]].sort_values(["loss", "id"], ascending=[False, True]).head(15)
    assert found["id"].tolist() == wanted["id"].tolist()
    assert found["rank"].tolist() == pytest.approx(wanted["loss"].tolist())
    price = queues.largest_loss(case_world.store, Window("price", START, END), 1).frame
    assert price["id"].tolist() == ["price-50"]
    assert price["rank"].iloc[0] == pytest.approx(abs(case_world.price["score"][50] - case_world.price["label"][50] - 150))


def test_the_queue_of_uncertain_answers_is_weighted_by_the_cost_of_errors(case_world: World) -> None:
    found = queues.uncertain_predictions(case_world.store, WINDOW, 12).frame
    rows = loan_rows(case_world)
    open_ = rows[~rows["labelled"]]
    cost = np.where(open_["score"] >= 0.5, (1 - open_["score"]) * 5, open_["score"] * 50)
    wanted = open_.assign(cost=cost).sort_values(["cost", "id"], ascending=[False, True]).head(12)
    assert found["id"].tolist() == wanted["id"].tolist()
    assert found["rank"].tolist() == pytest.approx(wanted["cost"].tolist())
    assert "EUR" in found["because"].iloc[0]
    with pytest.raises(NotGivenError):
        queues.uncertain_predictions(case_world.store, Window("price", START, END))


def test_suspected_labels_are_ranked_by_cleanlabs_margin(case_world: World) -> None:
    found = queues.suspect_labels(case_world.store, Window("kind", START, END), 200)
    from cleanlab.filter import find_label_issues

    frame = case_world.kind
    names = ["sad", "so", "glad"]
    given = frame["label"].map(names.index).to_numpy().copy()
    given[1] = names.index({"sad": "glad", "so": "glad", "glad": "sad"}[frame["label"].iloc[1]])
    issues = find_label_issues(given, frame[names].to_numpy(), filter_by="confident_learning", n_jobs=1)
    assert set(found.frame["id"]) == {f"k-{place}" for place in np.flatnonzero(issues)}
    assert "k-1" in set(found.frame["id"])
    margins = frame[names].to_numpy().max(axis=1) - frame[names].to_numpy()[np.arange(len(frame)), given]
    assert found.frame["rank"].iloc[0] == pytest.approx(margins[issues].max())
    assert found.frame["rank"].is_monotonic_decreasing
    assert found.because.startswith(f"{len(found.frame)} of 300 labels")
    assert queues.suspect_labels(case_world.store, Window("price", START, END)).frame["id"].iloc[0] == "price-50"


def test_the_queue_of_regressed_requests_lists_those_that_the_shadow_version_gets_wrong(case_world: World) -> None:
    found = queues.regressed_requests(case_world.store, WINDOW, 50)
    rows = loan_rows(case_world)
    flipped = rows.iloc[[place for place in range(400, 600) if place % 10 == 0]]
    right = flipped[((flipped["score"] >= 0.5) == (flipped["label"] == 1)) & flipped["labelled"]]
    assert set(found.frame["id"]) == {each.replace("loan", "shadow") for each in right["id"]}
    assert len(found.frame) >= 10
    assert found.frame["rank"].is_monotonic_decreasing
    assert (found.frame["rank"] > 0).all()
    with pytest.raises(NotGivenError, match="one version"):
        queues.regressed_requests(case_world.store, Window("price", START, END))


def test_a_regressed_request_has_the_label_that_only_the_older_version_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: for a regression, the queue ranked by this label, but showed none."""
    model, at = Model(1, "price", "regression"), pd.Timestamp("2024-03-01")
    columns = {"at": at, "subject": None, "decision": -1, "label": -1, "feature.size": [1.0, 2.0, 3.0]}
    new = pd.DataFrame(
        {"id": ["n1", "n2", "n3"], "version": "2", "score": [15.0, 30.0, 9.0], "label_value": [np.nan, 29.0, np.nan], **columns}
    )
    old = pd.DataFrame(
        {"id": ["o1", "o2", "o3"], "version": "1", "score": [11.0, 20.0, 9.0], "label_value": [10.0, 29.0, np.nan], **columns}
    )
    windows = [replace(Window("price", START, END), version=version) for version in ("2", "1")]
    monkeypatch.setattr(queues, "model_with_labels", lambda store, window: model)
    monkeypatch.setattr(queues, "newest_two", lambda *_: tuple(windows))
    monkeypatch.setattr(queues.paired_rows, "common_features", lambda *_: ("feature.size",))
    frames = {"2": new, "1": old}
    store: Any = SimpleNamespace(ask=lambda question, window: frames[window.version])
    (found,) = queues.regressed_requests(store, windows[0]).frame.to_dict("records")
    assert (found["id"], found["label_value"], found["rank"]) == ("n1", 10.0, 4.0)


def test_complaints_lead_to_their_predictions(case_world: World) -> None:
    found = queues.predictions_with_complaints(case_world.store, WINDOW)
    assert found.frame["id"].tolist() == ["loan-300"]
    assert found.frame["because"].tolist() == [HOSTILE]
    assert queues.predictions_with_complaints(case_world.store, Window("price", START, END)).frame.empty


@pytest.mark.parametrize("name", queues.INBOXES)
def test_every_inbox_is_bounded_and_has_a_description(case_world: World, name: str) -> None:
    found = queues.INBOXES[name](case_world.store, WINDOW, 3)
    assert len(found.frame) <= 3
    assert tuple(found.frame.columns) == queues.COLUMNS
    assert found.because.endswith(".")
    assert found.name == name
    empty = Window("loan", START - timedelta(days=9), START - timedelta(days=8))
    try:
        nothing = queues.INBOXES[name](case_world.store, empty, 3)
    except NotGivenError as error:
        assert str(error)
    else:
        assert nothing.frame.empty
        assert tuple(nothing.frame.columns) == queues.COLUMNS
