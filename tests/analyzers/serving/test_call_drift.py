"""Calls of a language model: a changed column is named with its onset and size; quiet weeks raise nothing; from small samples the answer is
unknown.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.serving import call_drift
from observability.core.catalog import Model, Version
from observability.core.formatting import format_day
from tests.support.model_calls import CONTEXT, FEATURES, MODEL, START, calls, drift_findings, frames_of

Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def frames() -> Frames:
    return frames_of(11)[0]


def changed(frames: Frames, since: float = 0.0, **columns: object) -> Frames:
    """The frames with changed values in some columns, from a given day of the window on. columns: for each feature, a function of its old
    values that returns the new ones.
    """
    late = {name: rows["at"] >= START.replace(tzinfo=None) + timedelta(days=since) for name, rows in frames.items()}
    found = {}
    for side, rows in frames.items():
        own = {
            f"feature.{name}": rows[f"feature.{name}"].mask(late[side], change(rows[f"feature.{name}"])) for name, change in columns.items()
        }
        found[side] = rows.assign(**own)
    return found


def test_only_language_models_without_a_reference_request_call_data() -> None:
    asks = call_drift.needs(CONTEXT)
    assert {name: each.scope for name, each in asks.items()} == {"current": "model", "past": "model"} and asks["past"].span == "past"
    assert set(FEATURES) < set(asks["current"].aggregate.columns)
    registered = replace(MODEL, versions=(*MODEL.versions, Version("2", START, reference_rows=900)))
    for model in (registered, Model(2, "loan", columns=MODEL.columns[:2])):
        assert call_drift.needs(replace(CONTEXT, model=model)) == {} and call_drift.analyze({}, replace(CONTEXT, model=model)) == []


def test_longer_prompts_are_reported_with_size_and_onset(frames: Frames) -> None:
    found = drift_findings(changed(frames, since=1, input_tokens=lambda own: 4 * own))["input_tokens"]
    assert (found.severity, found.news, found.likely_source, found.version, found.against) == ("act", "new", "input", None, "past")
    assert found.onset == START + timedelta(days=1) and f"since {format_day(found.onset)}" in found.because
    assert found.low < found.value < found.high and found.evidence["now"] > 2 * found.evidence["before"]
    assert "mean " in found.because and f"{found.n:,} calls" in found.because


def test_a_change_of_answers_names_the_model_as_the_likely_source(frames: Frames) -> None:
    found = drift_findings(changed(frames, output_tokens=lambda own: 3 * own))
    assert (found["output_tokens"].severity, found["output_tokens"].likely_source) == ("act", "model")
    assert {name for name, each in found.items() if each.needs_action} == {"output_tokens"}


def test_a_small_shift_or_one_within_weekly_variation_is_not_critical() -> None:
    restless = frames_of(3, variation=0.5)[0]
    found = drift_findings(restless)
    assert not [each for each in found.values() if each.severity == "act"]
    assert found["topic"].evidence["usual_psi"] > 0.1 and found["topic"].limit > 0.1, "variation between weeks raises the limit"


def test_a_shift_present_in_the_week_before_is_ongoing_and_a_reverted_one_recovers(frames: Frames) -> None:
    before = changed(frames, since=-7, input_tokens=lambda own: 6 * own)
    found = drift_findings(before)["input_tokens"]
    assert (found.severity, found.news, found.onset) == ("act", "ongoing", START - timedelta(days=7))
    assert found.evidence["now"] == pytest.approx(6 * found.evidence["before"], rel=0.25), "weeks after the onset do not count as the past"
    back = drift_findings({**before, "current": frames["current"]})["input_tokens"]
    assert (back.severity, back.news) == ("ok", "recovered") and "in the week before" in back.because
    assert drift_findings(changed(frames, since=-21, input_tokens=lambda own: 6 * own))["input_tokens"].severity == "ok", (
        "after three weeks the change is usual"
    )


def test_the_owner_sets_the_limit(frames: Frames) -> None:
    moved = changed(frames, topic=lambda own: own.mask(np.arange(len(own)) % 5 == 0, "account"))
    assert (drift_findings(moved)["topic"].severity, drift_findings(moved, call_psi=0.12)["topic"].severity) == ("watch", "act")
    assert drift_findings(moved, call_psi=0.9)["topic"].severity == "watch"


def test_small_call_samples_are_unknown_and_state_how_many_more_are_needed() -> None:
    rng = np.random.default_rng(8)
    past, now = calls(rng, 2, 22), calls(rng, 1, 18, first_week=0)
    found = drift_findings({"past": past, "current": now})
    assert {each.severity for name, each in found.items() if name.endswith("tokens")} == {"unknown"}
    assert "cannot be compared yet" in found["input_tokens"].because and "more are needed" in found["input_tokens"].because
    (only,) = drift_findings({"past": past, "current": now.head(40)}).values()
    assert drift_findings({"past": past.iloc[:0], "current": now.iloc[:0]}) == {}, (
        "answers to the fixed questions of probes do not count as calls"
    )
    assert (only.subject, only.severity, only.value) == ("model", "unknown", None) and "that needs about 60 more" in only.because
