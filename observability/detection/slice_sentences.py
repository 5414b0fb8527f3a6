"""How is a slice that stands out said in plain words?"""

from observability.core.analyzer import Context
from observability.core.finding import Against, Finding
from observability.core.window import Slice
from observability.metrics.slice_rows import Spec
from observability.stats.slices import Found

HAD = {"reference": "in the reference", "past": "in the month before", "peers": "elsewhere"}


def sentence(found: Found, spec: Spec, against: Against, n: int) -> str:
    """What happened in a slice, with the numbers."""
    before, then = found.before, HAD.get(against, "before")
    what, now, rest = named(spec, found.change), figure(found.now.mean, spec), figure(found.rest_now.mean, spec)
    rows = f"{n:,} {'labelled ' if spec.labelled else ''}rows of the sample ({percent(found.share)})"
    said = f"Where {conditions(found.conditions)}, {what} {now}"
    if before is None:
        return f"{said}, {rest} elsewhere: {rows}."
    old = None if found.rest_before is None else figure(found.rest_before.mean, spec)
    gone = "" if old is None else f"; elsewhere it stayed at {rest}" if old == rest else f"; elsewhere it went from {old} to {rest}"
    covered = percent(found.coverage)
    return f"{said}, {figure(before.mean, spec)} {then}{gone}. {rows} hold {'the whole' if covered == '100 %' else f'{covered} of the whole'} change."


def named(spec: Spec, change: float = 0.0) -> str:
    """The metric as a sentence's subject and verb. change: which way a value moved, where it is ranks."""
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
        return f"{subject} takes {'rarer' if more else 'more common'} values: from the commonest, 0, to the rarest, 100, they lie on average at"
    return f"{subject} is {'higher' if more else 'lower'}: among all its earlier values these lie on average at percentile"


def figure(mean: float, spec: Spec) -> str:
    """A mean as a person reads it."""
    value = 1 - mean if spec.complement else mean
    if spec.metric in ("accuracy", "null_rate", "error_rate"):
        return percent(value)
    return f"{100 * value:.0f}" if spec.metric == "rank_shift" else f"{value:+.3g}" if spec.metric == "bias" else f"{value:.3g}"


def percent(share: float) -> str:
    """A share in per cent."""
    return "under 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f}".removesuffix(".0") + " %"


def conditions(parts: tuple[tuple[str, str], ...]) -> str:
    """A slice in words: `carrier` is `AA` and `origin` is missing."""
    return " and ".join(f"`{name}` is {'missing' if level == 'null' else f'`{level}`'}" for name, level in parts)


def condition(text: str) -> str:
    """The same of a text."""
    parsed = Slice.parse(text)
    return conditions(parsed.conditions) if parsed else text


def young(because: str) -> str:
    """A claim while labels are young."""
    return f"{because.removesuffix('.')}; too few of the labels are in to tell."


def too_few(n: int, wanted: int) -> str:
    """The window has too few rows."""
    return f"Slices cannot be told apart on {n:,} predictions: that needs about {max(wanted - n, 1):,} more."


def sampled(now: int, before: int, against: Against) -> str:
    """What was looked at."""
    other = {"reference": "reference rows", "past": "rows of the month before"}.get(against, "rows before")
    return f"a sample of {now:,} predictions and {before:,} {other}"


def searched(count: int, singles: int, pairs: int, sample: str) -> str:
    """What the search found in all."""
    said = "No slice changed otherwise than the rest" if not count else f"{count} slice{' stands' if count == 1 else 's stand'} out"
    return f"{said}: {singles:,} looks at single slices and {pairs:,} at pairs counted, on {sample}."


def unknown(context: Context, n: int, because: str) -> Finding:
    """It cannot be told."""
    return context.undecided("serving/slices", "model", "slices_named", n, because)
