"""Each fault has its stated effect at its stated strength, and no other."""

from dataclasses import replace

import numpy as np
import pytest

from observability.core.errors import NotFoundError
from observability.core.questions import ABSENT, WRONG_TYPE
from observability.simulation.clean_log import DAY, CleanStream
from observability.simulation.fault import STRENGTHS
from observability.simulation.fault_targets import TARGET_PARTS, fault_targets
from observability.simulation.faults import FAULTS, find_fault
from observability.simulation.log_rows import LogRows
from observability.simulation.replay import FaultScenario
from tests.support.length import some
from tests.support.simulation_world import credit

BASE = credit(reference_rows=500)
STREAM = CleanStream(BASE, seed=3, past=1, days=3, rows_a_day=20_000)
SCENE = replace(
    fault_targets(BASE, 3), number="feature.age", partner="feature.debt", group=("group.sex", "F"), slice=("feature.region", "south")
)
CLEAN = STREAM.day(1)


def planted(name: str, strength: str = "weak", day: int = 1) -> LogRows:
    """The rows of the first day with the fault, or of a later day."""
    return FaultScenario(STREAM, SCENE, FAULTS[name], strength).planted(day, CLEAN)


def moved(rows: LogRows, name: str) -> float:
    """The shift of a mean, in standard deviations of the clean rows."""
    return float((np.nanmean(rows[name]) - np.nanmean(CLEAN[name])) / np.nanstd(CLEAN[name]))


def decided(rows: LogRows, where: np.ndarray) -> float:
    """The share of positive decisions."""
    return float((rows["score"] >= 0.5)[where].mean())


def wrong(rows: LogRows) -> float:
    """The share of wrong decisions."""
    return float(((rows["score"] >= 0.5) != (rows["label"] == 1)).mean())


def test_there_are_at_least_thirty_faults_over_every_section() -> None:
    assert len(FAULTS) >= 30
    assert {"data", "serving", "trust", "operations"} <= {each.section for each in FAULTS.values()}
    with pytest.raises(NotFoundError, match="null_surge"):
        find_fault("nul_surge")


def test_texts_with_addresses_arrive_in_a_category() -> None:
    rows = planted("personal_data", "strong")
    texts = [text for text in rows[str(SCENE.category)] if "@" in str(text)]
    assert len(texts) / len(rows) == pytest.approx(0.2, abs=0.02) and len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", some(FAULTS, 8))
def test_a_fault_is_pure_repeatable_and_grows(name: str) -> None:
    each = FAULTS[name]
    assert SCENE.lacks(each.needs) is None
    assert set(each.needs) <= set(TARGET_PARTS)
    assert each.description.endswith(".")
    assert sorted(each.amounts) == list(each.amounts)
    before = {column: values.copy() for column, values in CLEAN.columns.items()}
    found = [planted(name, strength) for strength in STRENGTHS]
    again = planted(name, "strong")
    for column, values in CLEAN.columns.items():
        np.testing.assert_array_equal(values, before[column])
    assert again.columns.keys() == found[-1].columns.keys()
    for column, values in again.columns.items():
        np.testing.assert_array_equal(values, found[-1][column])
    for rows in found:
        assert len({len(values) for values in rows.columns.values()}) == 1
        assert len(set(rows["id"].tolist())) == len(rows)
        assert changes(rows)


def changes(rows: LogRows) -> bool:
    """Whether anything differs from the clean day."""
    if len(rows) != len(CLEAN) or rows.columns.keys() != CLEAN.columns.keys():
        return True
    return any(not np.array_equal(values, CLEAN[name], equal_nan=values.dtype.kind in "fM") for name, values in rows.columns.items())


def test_the_weakest_faults_have_the_smallest_effects_that_matter() -> None:
    group, south = CLEAN["group.sex"] == "F", CLEAN["feature.region"] == "south"
    assert moved(planted("unit_change"), "feature.age") == pytest.approx(0.3, abs=0.01)
    assert moved(planted("covariate_shift"), "feature.age") == pytest.approx(0.3, abs=0.03)
    in_slice = planted("unit_change_in_slice")
    assert moved(in_slice.take(south), "feature.age") == pytest.approx(0.3, abs=0.03)
    np.testing.assert_array_equal(in_slice["feature.age"][~south], CLEAN["feature.age"][~south])
    assert np.isnan(planted("null_surge")["feature.age"]).mean() == pytest.approx(0.05, abs=0.006)
    nulls = np.isnan(planted("null_surge_in_group")["feature.age"])
    assert nulls[group].mean() == pytest.approx(0.05, abs=0.008)
    assert not nulls[~group].any()
    assert decided(CLEAN, group) - decided(planted("selection_gap"), group) == pytest.approx(0.1, abs=0.01)
    found = group & (CLEAN["label"] == 1)
    assert decided(CLEAN, found) - decided(planted("tpr_gap"), found) == pytest.approx(0.1, abs=0.01)
    for name in ("concept_drift", "worse_scores"):
        assert wrong(planted(name)) / wrong(CLEAN) == pytest.approx(1.15, abs=0.03)
    slow, own = planted("slow_replica"), CLEAN["replica"] == SCENE.replica
    assert np.quantile(slow["latency_ms"][own], 0.99) / np.quantile(CLEAN["latency_ms"][own], 0.99) == pytest.approx(1.5)
    assert np.mean(planted("miscalibration")["score"] - CLEAN["score"]) == pytest.approx(0.05, abs=0.002)


def test_a_broken_correlation_leaves_the_distribution_of_each_feature_unchanged() -> None:
    rows = planted("correlation_broken", "strong")
    np.testing.assert_array_equal(np.sort(rows["feature.age"]), np.sort(CLEAN["feature.age"]))
    debt = planted("correlation_broken", "strong")["feature.debt"]
    np.testing.assert_array_equal(debt, CLEAN["feature.debt"])


def test_scores_follow_the_changed_inputs_and_labels_stay() -> None:
    rows = planted("unit_change", "strong")
    assert abs(np.mean(rows["score"]) - np.mean(CLEAN["score"])) > 0.05
    np.testing.assert_array_equal(rows["label"], CLEAN["label"])
    np.testing.assert_array_equal(planted("slow_replica")["score"], CLEAN["score"])


def test_planted_faults_set_marks_extra_fields_copies_and_times() -> None:
    renamed = planted("renamed_feature", "strong")
    assert set(renamed["mark.age"].tolist()) == {ABSENT}
    np.testing.assert_array_equal(renamed["extra.age_v2"], CLEAN["feature.age"])
    assert set(planted("wrong_type", "strong")["mark.age"].tolist()) == {WRONG_TYPE}
    assert planted("resends")["copies"].mean() == pytest.approx(0.05, abs=0.006)
    skewed, device = planted("clock_skew"), CLEAN["device"] == SCENE.device
    by_id = dict(zip(skewed["id"].tolist(), skewed["at"].tolist(), strict=True))
    behind = [at - by_id[name] for name, at in zip(CLEAN["id"].tolist(), CLEAN["at"].tolist(), strict=True)]
    assert {each.total_seconds() for each, own in zip(behind, device, strict=True) if own} == {4 * 3600}
    assert not any(each for each, own in zip(behind, device, strict=True) if not own)
    first = planted("outage", "middle")["at"].min()
    assert first >= np.datetime64((STREAM.onset + DAY * 0.75).replace(tzinfo=None))


def test_the_missing_parts_of_a_base_are_named() -> None:
    bare = replace(BASE, pool=LogRows({name: values for name, values in BASE.pool.columns.items() if name not in ("replica", "energy_j")}))
    scene = fault_targets(bare, 1)
    assert scene.lacks(FAULTS["slow_replica"].needs) == TARGET_PARTS["replica"]
    assert scene.lacks(FAULTS["energy_change"].needs) == TARGET_PARTS["energy"]
    assert scene.lacks(FAULTS["null_surge"].needs) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unit_change", "1 standard deviation"),
        ("unit_change_in_slice", "1 standard deviation"),
        ("null_surge", "15 % of rows"),
        ("failing_replica", "20 % of its rows"),
        ("tpr_gap", "20 points"),
        ("concept_drift", "50 % growth of the error"),
        ("stale_feature", "10 values a day"),
        ("slow_replica", "2.5 times"),
    ],
)
def test_a_fault_states_the_size_of_its_effect(name: str, said: str) -> None:
    assert FAULTS[name].size("middle") == said
