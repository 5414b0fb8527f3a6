"""Sentences of the findings about slices."""

from collections.abc import Sequence

from scipy.special import ndtri

from observability.core.analyzer import Context
from observability.core.finding import Against, Finding
from observability.core.window import Slice
from observability.metrics.slice_rows import TargetSpec
from observability.stats.slices import ChangedSlice

SAMPLE_ROWS = 20_000
"""Maximum number of rows that are searched on each side; rows with the smallest hashes of their ids are taken."""
HAD = {"reference": "in the reference", "past": "in the month before", "peers": "elsewhere"}
MAX_NEEDED = 1_000_000
SAMPLED = {"reference": "in {} sampled rows of the reference", "past": "in {} sampled rows of the month before"}


def baseline_words(against: Against, rows: int) -> str:
    """Return words for the baseline of a figure. rows: number of its rows that were read; if this is less than SAMPLE_ROWS, these are all
    of its rows.
    """
    return SAMPLED[against].format(f"{rows:,}") if rows >= SAMPLE_ROWS and against in SAMPLED else HAD.get(against, "before")


def slice_sentence(found: ChangedSlice, spec: TargetSpec, against: Against, n: int, samples: tuple[int, int]) -> str:
    """Return the change of a slice as a sentence with its numbers. samples: numbers of searched rows in the window and in the baseline. If
    a side has fewer than SAMPLE_ROWS rows, all of them were searched.
    """
    sample, before, then = samples[0], found.before, baseline_words(against, samples[1])
    what, now, rest = slice_name(spec, found.change), figure_with_unit(found.now.mean, spec), slice_figure(found.rest_now.mean, spec)
    of_sample = f" of a sample of {sample:,}" if sample >= SAMPLE_ROWS else ""
    kind = "labelled rows" if spec.labelled else "rows"
    rows = f"{n:,} {kind}{of_sample} ({slice_percent(found.share)} of the {kind})"
    said = f"Where {slice_words(found.conditions)}, {what} {now}"
    if before is None:
        return f"{said}, {rest} elsewhere: {rows}."
    old = None if found.rest_before is None else slice_figure(found.rest_before.mean, spec)
    gone = "" if old is None else f"; elsewhere it stayed at {rest}" if old == rest else f"; elsewhere it went from {old} to {rest}"
    covered = slice_percent(found.coverage)
    moved = f"{said}, {slice_figure(before.mean, spec)} {then}{gone}"
    if spec.metric == "rank_shift":
        apart = "" if old is None else f", elsewhere {old} → {rest}"
        baseline = then.removeprefix("in ")
        moved = f"Where {slice_words(found.conditions)}, {what} {slice_figure(before.mean, spec)} → {now}{apart} (from {baseline} to now)"
    return f"{moved}; the slice has {rows} and {'the whole change' if covered == '100 %' else f'{covered} of the change'}."


def slice_within_noise(because: str, found: ChangedSlice, budget: float) -> str:
    """Return the sentence with an added remark: the change is beyond its limit but not significant, and this many more rows are needed."""
    wanted = (float(ndtri(1 - budget / 2)) / abs(found.z)) ** 2 if found.z else float("inf")
    more = found.now.n * max(wanted - 1, 0.0)
    needs = f"about {max(round(more), 1):,} more labelled rows are needed" if more < MAX_NEEDED else "far more labelled rows are needed"
    return f"{because.removesuffix('.')}: beyond its limit, but not beyond chance (p {found.p_value:.2g}); cannot tell yet, {needs}."


def slice_without_outliers(because: str, clipped: ChangedSlice, spec: TargetSpec, against: Against) -> str:
    """Return the sentence with the means of clipped errors added. The search found the slice by them, because outliers hide its change."""
    then = "" if clipped.before is None else f", {slice_figure(clipped.before.mean, spec)} {HAD.get(against, 'before')}"
    return f"{because} With the largest 0.5 % of errors clipped it is {figure_with_unit(clipped.now.mean, spec)}{then}."


def slice_name(spec: TargetSpec, change: float = 0.0) -> str:
    """Return the metric as subject and verb of a sentence. change: direction of a shift, for ranks."""
    what = {
        "mae": "the mean absolute error is",
        "accuracy": "accuracy is",
        "bias": "predictions are off on average by",
        "null_rate": f"`{spec.subject}` is missing in",
        "error_rate": "requests fail in",
    }
    if spec.metric in what:
        return what[spec.metric]
    subject = "the score" if spec.subject in ("score", "model") else f"`{spec.subject}`"
    more = change > 0
    if spec.category:
        return f"{subject} takes {'rarer' if more else 'more common'} values: mean rarity percentile"
    return f"{subject} is {'higher' if more else 'lower'}: mean percentile"


def slice_figure(mean: float, spec: TargetSpec) -> str:
    """Return a mean as text."""
    value = 1 - mean if spec.complement else mean
    if spec.metric in ("accuracy", "null_rate", "error_rate"):
        return slice_percent(value)
    return f"{100 * value:.0f}" if spec.metric == "rank_shift" else f"{value:+.3g}" if spec.metric == "bias" else f"{value:.3g}"


def figure_with_unit(mean: float, spec: TargetSpec) -> str:
    """Return a mean as text, with the unit of the label if it is measured in it."""
    return f"{slice_figure(mean, spec)} {spec.unit}".rstrip()


def slice_percent(share: float) -> str:
    """Return a share in per cent."""
    return "under 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f}".removesuffix(".0") + " %"


def slice_words(parts: tuple[tuple[str, str], ...]) -> str:
    """Return a slice in words, such as: `carrier` is `AA` and `origin` is missing."""
    return " and ".join(f"`{name}` is {'missing' if level == 'null' else f'`{level}`'}" for name, level in parts)


def slice_text_words(text: str) -> str:
    """Return words for a slice that is given as text."""
    parsed = Slice.parse(text)
    return slice_words(parsed.conditions) if parsed else text


def young_labels_sentence(because: str) -> str:
    """Return the sentence with an added clause: too few labels have arrived to decide."""
    return f"{because.removesuffix('.')}; too few labels have arrived to decide."


def too_few_rows(n: int, wanted: int) -> str:
    """Return the sentence that the window has too few rows."""
    return f"Slices cannot be compared on {n:,} predictions: that needs about {max(wanted - n, 1):,} more."


def sample_words(now: int, before: int, against: Against) -> str:
    """Return words for the sizes of both samples."""
    other = {"reference": "reference rows", "past": "rows of the month before"}.get(against, "rows before")
    return f"a sample of {now:,} predictions and {before:,} {other}"


def search_sentence(count: int, singles: int, pairs: int, sample: str, *weakest: str) -> str:
    """Return sentences about the result of the search, followed by the sentences about the weakest slices; empty ones are left out."""
    said = "No slice changed significantly" if not count else f"{count} slice{'' if count == 1 else 's'} changed significantly"
    judged = "" if not count else " It has its own finding." if count == 1 else " Each has its own finding."
    return " ".join([f"{said}: {singles:,} slices and {pairs:,} pairs tested, on {sample}.{judged}", *filter(None, weakest)])


def weak_slices_sentence(weak: Sequence[ChangedSlice], spec: TargetSpec | None, against: Against, rows_before: int) -> str:
    """Return a sentence about the slices that are worse than the other rows by at least the limit for `act`, whether or not they changed;
    empty without such slices.

    rows_before: rows of the baseline that were searched.
    """
    if not weak or spec is None:
        return ""
    first = weak[0]
    now, rest = figure_with_unit(first.now.mean, spec), slice_figure(first.rest_now.mean, spec)
    then = "" if first.before is None else f" ({slice_figure(first.before.mean, spec)} {baseline_words(against, rows_before)})"
    more = f" {len(weak) - 1} more {'is' if len(weak) == 2 else 'are'} worse than elsewhere by the limit or more." if len(weak) > 1 else ""
    return f"Weakest slice: where {slice_words(first.conditions)}, {slice_name(spec)} {now}{then}, {rest} elsewhere.{more}"


def no_baseline_sentence(new: Sequence[ChangedSlice], against: Against) -> str:
    """Return a sentence that some slices which are much worse than the other rows have no baseline, so that it is unknown whether this is
    new; empty if all have one.
    """
    if not new:
        return ""
    named, had = slice_words(new[0].conditions), HAD.get(against, "before")
    unknown = f"There are too few such rows {had} to say whether that is new."
    if len(new) == 1:
        return f"Where {named}, errors are certainly worse than elsewhere. {unknown}"
    return f"{len(new)} slices, {named} first, are certainly worse than the other rows. {unknown}"


def slice_stands(because: str) -> str:
    """Return the sentence with an added remark: the month before also shows the change."""
    return f"{because.removesuffix('.')}; as in the month before."


def undecided_slices(context: Context, n: int, because: str) -> Finding:
    """Return a finding of severity `unknown`."""
    return context.undecided("serving/slices", "model", "slices_named", n, because)
