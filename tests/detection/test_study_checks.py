"""A study as a search: pruning, edges, noise, test data, repeats and failures; with few trials it raises nothing and says what is
missing.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from observability.detection.run_claims import RunClaim
from observability.detection.study_checks import claims_about_searches, fisher_upper_p_value
from observability.detection.study_noise import noise_bands
from observability.metrics.training_curves import TrainingRun
from tests.support.length import repeats
from tests.support.simulated_studies import METRIC, simulated_study


def claims(runs: list[TrainingRun]) -> dict[str, RunClaim]:
    """The claims about one study, by metric."""
    return {claim.metric: claim for claim, _ in claims_about_searches(runs)}


def search(seed: int = 1, *, seeds: int = 8, test: bool = False, name: str = "search") -> list[TrainingRun]:
    return simulated_study(np.random.default_rng([seed, 3]), trials=80, seeds=seeds, test=test, name=name)


def test_a_search_is_judged_by_its_tuning_metric_and_not_by_test_data() -> None:
    """Regression: if equally many runs logged it, a test metric was chosen because its name comes first."""
    runs = search(test=True)
    assert next(noise_bands(runs))[0].metric == METRIC
    found = claims(runs)["study_test_ratio"]
    assert found.severity == "ok" and found.value == pytest.approx(1.03, abs=0.03) and "`test_log_loss`" in found.because


def test_failed_and_repeated_trials_are_counted() -> None:
    runs = search()
    changed = [replace(run, status="failed") if place % 3 == 0 else run for place, run in enumerate(runs)]
    found = claims(changed)["study_failed_share"]
    assert found.value == sum(run.failed for run in changed) / len(runs) and found.severity == "watch"
    again = [replace(run, params=runs[place // 2].params, seed="1") for place, run in enumerate(runs)]
    distinct = len({repr(sorted(run.params.items())) for run in again})
    assert claims(again)["study_repeat_share"].value == 1 - distinct / len(runs)


def test_a_winner_is_compared_with_its_repeats_and_the_expected_best_of_all_settings() -> None:
    runs = search()
    settings = len({run.params["learning_rate"] for run in runs if run.final})
    repeats = np.array([run.last_value(METRIC) for run in runs[81:] if run.final])
    for excess in (2.0, 30.0):
        won = repeats.mean() - excess * repeats.std(ddof=1)
        others = [replace(run, curves={METRIC: replace(run.curves[METRIC], values=run.curves[METRIC].values + 1)}) for run in runs[:80]]
        first = replace(runs[80], curves={METRIC: replace(runs[80].curves[METRIC], values=np.full(24, won))}, status="finished")
        found = claims([*others, first, *runs[81:]])["study_winner_excess"]
        assert found.value == pytest.approx(excess) and found.n == len(repeats)
        luck = settings * stats.t.sf(excess / np.sqrt(1 + 1 / len(repeats)), len(repeats) - 1)
        assert (found.severity == "watch") == (luck < 0.02) and f"`{first.name}`" in found.because
    assert "study_winner_excess" not in claims(runs[:80])


def test_repeats_without_a_logged_seed_do_not_count() -> None:
    runs = search()
    unseeded = [replace(run, seed=None) for run in runs]
    assert claims(unseeded)["study_repeat_share"].value == 0


def test_a_parameter_with_few_values_has_no_search_bound_finding() -> None:
    runs = [replace(run, params={"layers": 1 + place % 4, "tag": f"t{place}"}) for place, run in enumerate(search())]
    assert "study_bound_share" not in claims(runs)


def test_few_trials_raise_no_alarm_and_state_how_many_more_are_needed() -> None:
    assert claims(search()[:9]) == {}
    runs = simulated_study(np.random.default_rng(4), trials=12, seeds=3)
    found = claims(runs)
    assert not [each.because for each in found.values() if each.severity in ("act", "watch")]
    assert "needs about" in found["study_bound_share"].because and found["study_noise_ratio"].severity == "unknown"
    assert "2 more seeds" in found["study_noise_ratio"].because


def test_clean_searches_raise_no_critical_finding_and_few_warnings() -> None:
    count, raised = repeats(40, 300), []
    for seed in range(count):
        found = claims_about_searches(simulated_study(np.random.default_rng([seed, 5]), test=seed % 2 == 0))
        raised += [claim for claim, _ in found if claim.severity in ("act", "watch")]
    assert not [each.because for each in raised if each.severity == "act"]
    assert len(raised) <= 0.03 * count, [each.because for each in raised]


def test_the_exact_p_value_of_a_crowded_edge_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        n, others = rng.integers(1, 60, 2).tolist()
        hits, usual = int(rng.integers(0, n + 1)), int(rng.integers(0, others + 1))
        expected = stats.fisher_exact([[hits, n - hits], [usual, others - usual]], alternative="greater").pvalue
        assert fisher_upper_p_value(hits, n, usual, others) == pytest.approx(expected, rel=1e-12)
