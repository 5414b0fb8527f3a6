"""Compare two sides of a model: two windows, versions or slices.

    found = compare_windows(engine.ask, model, a, b)
    found.sentence                             # the result in one sentence
    found.differences                          # every comparison with its verdict

Side A is compared with side B; a change is A - B. Histograms use the same edges on both sides.
"""

from dataclasses import replace

from observability.compare import calibration_change, group_gaps, input_distances, outcomes, paired_rows, sentences, service_figures
from observability.compare.comparison_types import ComparisonSide, WindowComparison
from observability.compare.difference import AskEngine, with_verdicts
from observability.core.catalog import Model, Version
from observability.core.questions import Aggregate, By
from observability.core.window import Window


def compare_windows(ask: AskEngine, model: Model, a: Window, b: Window) -> WindowComparison:
    """Compare two windows of one model. The false discovery rate is controlled at FALSE_DISCOVERY_RATE over all comparisons.

    Raises UsageError or NotFoundError for a version, or a column of a slice, that does not exist.
    """
    one, other = _comparison_side(ask, model, a), _comparison_side(ask, model, b)
    if not one.rows or not other.rows:
        return WindowComparison(one, other, (), sentence=sentences.comparison_sentence((), one, other))
    measured, histograms = input_distances.input_differences(ask, model, a, b, one.versions, other.versions)
    errors, ripe_a, ripe_b = outcomes.performance_differences(ask, model, a, b)
    young = outcomes.label_maturity_note(ripe_a, ripe_b)
    one, other = replace(one, labelled=int(ripe_a[1])), replace(other, labelled=int(ripe_b[1]))
    matched, paired = paired_rows.paired_row_differences(ask, model, a, b, one.versions, other.versions)
    registered = next((each for each in (*one.versions, *other.versions) if each.registered), None)
    found = [
        *paired,
        *errors,
        *calibration_change.calibration_differences(ask, model, a, b, young),
        *outcomes.watched_slice_differences(ask, model, a, b),
        *group_gaps.group_gap_differences(ask, model, a, b, registered, young),
        *outcomes.decision_differences(ask, model, a, b),
        *service_figures.latency_differences(ask, a, b),
        *service_figures.consumption_differences(ask, model, a, b),
        *measured,
    ]
    differences = tuple(with_verdicts(found))
    done = WindowComparison(one, other, differences, histograms, matched, sentences.comparison_sentence(differences, one, other))
    return replace(done, notes=tuple(sentences.comparison_notes(done)))


def _comparison_side(ask: AskEngine, model: Model, window: Window) -> ComparisonSide:
    """The number of rows of a window, and its versions."""
    frame = ask(Aggregate("predictions", keys=(By("version"),)), window)
    rows = {str(name): int(n) for name, n in zip(frame["version"], frame["n"], strict=True)}
    versions = tuple(model.version(name) or Version(name) for name in rows)
    return ComparisonSide(window, versions, sum(rows.values()))
