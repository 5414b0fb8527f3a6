"""Detect bursts of near-identical requests, default scores, late arrivals, device clock skew and coarse device values; name the days whose
figures changed because answers arrived late.

These checks need single rows, but counts do not contain rows. Therefore the checks read a sample of limited size.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity, needs_action
from observability.core.formatting import plural
from observability.core.owner_level import owner_limit_words
from observability.core.questions import Aggregate, Sample
from observability.core.settings import ModelSettings
from observability.detection.change import Limits, stated_limits
from observability.detection.default_scores import inputs_explain
from observability.detection.device_anomalies import CLOCK, COARSE_ACT, DISTINCT, NAME, SKEW_ACT, device_claims
from observability.detection.late_arrivals import event_days, late_claims
from observability.detection.sampled_shares import SampledShare, sampled_share, shares_by_day
from observability.detection.significant_claims import quality_percent
from observability.metrics.edge_fleet import LATE_HOURS
from observability.metrics.late_answers import late_answers
from observability.proofs.outcomes import REQUEST_PROOFS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

COPIES, DEFAULTS, RESTATED = "near_duplicate_share", "default_score_rate", "restated_share"
"""Metrics. The owner can override the `act` limit of the first two (`data/requests/near_duplicate_share`)."""
ROWS, MIN_REQUESTS, PAST_DAYS = 20_000, 100, 28
BURST_WATCH, BURST_ACT, MIN_BURST, ALIKE = 0.005, 0.02, 20, 0.1
"""Shares of rows that are near-identical requests of one subject, for `watch` and for `act`; minimum number of rows of a burst; width of a
cell in standard deviations of all rows.
"""
BURST_TIMES = 3
"""A burst exceeds this multiple of the highest share of one subject in the month before."""
LARGEST_GROUPS = 50
"""Maximum number of subjects whose near copies are counted around the middle of a cell. The subjects with the largest cells are chosen."""
DEFAULT_WATCH, DEFAULT_ACT = 0.02, 0.10
"""Rise of the share of one score for `watch` and `act`."""
DEFAULT_KNOWN, DEFAULT_FACTOR = 0.005, 3.0
"""A score is not new if more than DEFAULT_KNOWN of the distinct inputs had it before. The share of distinct inputs with a default score
must be at least DEFAULT_FACTOR times the largest share that any score had before.
"""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for samples of the window and of the month before."""
    if context.window.days < 1:
        return {"volume": Ask(Aggregate("predictions"))}
    columns = ("id", "at", "arrived", "subject", "device", "score", *(each.reference for each in context.model.features()))
    sample = Sample("predictions", columns, ROWS)
    sent = Sample("predictions", (*columns, "extra"), ROWS)
    asks = {"current": Ask(sent), "past": Ask(sample, span="past", days=PAST_DAYS, scope="model")}
    if context.version.reference_rows:
        scored = Sample("predictions", ("id", "score", *(each.reference for each in context.model.features())), ROWS)
        asks["reference"] = Ask(scored, span="reference")
    return asks


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about subjects, the score, late arrivals, changed days and devices."""
    if "volume" in frames:
        return [context.undecided(NAME, "model", COPIES, int(frames["volume"]["n"].sum()), "Requests are analyzed over a day or more.")]
    now, past = (frames[name].sort_values("id", kind="stable", ignore_index=True) for name in ("current", "past"))
    if len(now) < MIN_REQUESTS:
        because = f"Requests cannot be judged on {len(now):,} predictions: that needs about {MIN_REQUESTS - len(now):,} more."
        return [context.undecided(NAME, "model", COPIES, len(now), because, against="past")]
    numbers = [each.reference for each in context.model.features() if each.kind == "number"]
    known = [past, *([frames["reference"]] if "reference" in frames else [])]
    devices = device_claims(now, past, numbers, context)
    named = [each.subject.removeprefix("device=") for each in devices if each.metric == "clock_skew"]
    late = late_claims(now, past, named, context)
    changed = restated_findings(now, context)
    return [*burst_findings(now, past, context), *default_score(now, known, context), *late, *changed, *devices]


def restated_findings(now: "DataFrame", context: Context) -> list[Finding]:
    """Return the finding about the days whose figures changed because answers arrived late. It is always OK. Empty if no answer states when
    it was sent.
    """
    known = late_answers(now)
    if known is None:
        return []
    share = known.share
    said = f"{quality_percent(share.value or 0.0)} of {share.n:,.0f} answers were sent over {LATE_HOURS:g} h after the end of their day"
    because = f"{said}, by `synced_at`. {known.words or 'No day changed much after it was shown.'}"
    days = [[str(day.date()), int(n), int(late)] for day, n, late in zip(*(known.days[name] for name in ("day", "answers", "late")))]
    base = context.undecided(NAME, "model", RESTATED, round(share.n), because, against="level", whole_model=True)
    return [replace(base, **share.fields, severity="ok", evidence={"restated_after_hours": LATE_HOURS, "days": days})]


def burst_findings(now: "DataFrame", past: "DataFrame", context: Context) -> list[Finding]:
    """Return findings about subjects with bursts of near-identical requests; if there is no burst, one finding that says so.

    Without a previous month to compare with, a burst is at most a warning, unless it significantly exceeds a limit of the owner.
    """
    groups = near_identical_requests(now, context)
    if groups is None:
        because = "Bursts cannot be detected without `subject`: log `subject` (a user pseudonym) with requests."
        return [context.undecided(NAME, "model", COPIES, len(now), because, against="past")]
    before, name, stated = near_identical_requests(past, context), f"{NAME}/{COPIES}", context.model.settings.limits
    comparable = before is not None and len(past) >= MIN_REQUESTS
    usual = float(before["n"].max() / len(past)) if before is not None and comparable else 0.0
    limits = burst_limits(context.model.settings, usual, len(now))
    whose = owner_limit_words(stated, name)
    known = shares_by_day(event_days(past), event_days(past)[:0] if before is None or not usual else before["days"].iloc[0])
    month = f"the highest share of one subject in the month before was {quality_percent(usual)}"
    month = month if comparable else "there is no month before to compare with"
    found, doubts = [], []
    for each in groups[groups["n"] >= MIN_BURST].to_dict("records"):
        share = sampled_share(shares_by_day(event_days(now), each["days"]), known)
        if share.value < limits[0]:
            continue
        sure = name in stated and (share.interval.low or 0.0) >= limits[1]
        risen = comparable and share.value > usual and share.p_value <= context.budget
        if comparable and not (sure or risen):
            doubts.append(share)
            continue
        severity: Severity = "act" if share.value >= limits[1] and (sure or risen) else "watch"
        because = (
            f"Subject `{each['subject']}` sends near-identical requests: {each['n']:,} of {len(now):,} requests of the "
            f"sample ({quality_percent(share.value)}) are near copies of {plural(each['groups'], 'request')}, up to "
            f"{each['peak']:,} an hour; {month}{whose}."
        )
        base = context.undecided(NAME, f"subject={each['subject']}", COPIES, len(now), because, against="past")
        found.append(
            replace(
                base,
                value=share.value,
                low=share.interval.low,
                high=share.interval.high,
                severity=severity,
                likely_source="system",
                limit=limits[severity == "act"],
                rank=6.0 + share.value,
                evidence={"near_duplicates": each["n"], "peak_per_hour": each["peak"]} | ({"baseline": usual} if comparable else {}),
            )
        )
    if found:
        return found
    share = sampled_share(shares_by_day(event_days(now), groups["days"].iloc[0]), known)
    said = most_copies_words(int(groups["n"].iloc[0]), len(now))
    because, open_still = f"No bursts of near-identical requests: {said}{whose}.", bool(doubts) or share.value > limits[0]
    if open_still:
        why = burst_doubt(doubts[0] if doubts else share, bool(doubts), usual, limits[0], context)
        because = f"It is unknown whether there is a burst of near-identical requests: {said}, above the limit of "
        because += f"{quality_percent(limits[0])}, {why}{whose}."
    base = context.undecided(NAME, "model", COPIES, len(now), because, against="past")
    decided = replace(base, value=share.value, low=share.interval.low, high=share.interval.high, limit=limits[0])
    return [replace(decided, severity="unknown" if open_still else "ok")]


def most_copies_words(n: int, rows: int) -> str:
    """Return the largest number n of near copies by one subject, as a clause. If n is at least MIN_BURST, it is the sum over all groups of
    at least MIN_BURST rows; otherwise it is the size of the largest group.
    """
    if n < MIN_BURST:
        return f"the largest group that one subject sent has {n:,} of the {rows:,} sampled requests"
    return f"the subject with the most in groups of {MIN_BURST} or more sent {n:,} of the {rows:,} sampled requests"


def burst_limits(settings: ModelSettings, usual: float, rows: int) -> Limits:
    """Return the `watch` and `act` limits for the share of one subject. usual: the highest share of one subject in the month before.

    Without a limit set by the owner, a multiple of the past share raises both limits. The past share counts only up to the critical limit,
    so that a lasting burst does not hide the next one. An `act` limit of the owner is not raised, and the `watch` limit never exceeds it.
    """
    watch, act = stated_limits(settings, f"{NAME}/{COPIES}", BURST_WATCH, BURST_ACT)
    raised = max(watch, BURST_TIMES * min(usual, act), MIN_BURST / rows)
    return (min(raised, act), act) if f"{NAME}/{COPIES}" in settings.limits else (raised, max(raised, act))


def burst_doubt(share: SampledShare, many: bool, usual: float, limit: float, context: Context) -> str:
    """Return, as a clause, why a share beyond a limit may not be a burst. many: whether it has at least MIN_BURST rows."""
    if not many:
        return f"but fewer than {MIN_BURST} requests may be chance: a decision needs about {burst_rows_needed(share):,} more predictions"
    if usual >= limit:
        return f"as in the month before ({quality_percent(usual)})"
    return share.doubt(context.budget)


def burst_rows_needed(share: SampledShare) -> int:
    """Return how many more predictions are needed until a share of one subject amounts to MIN_BURST requests."""
    return max(ceil(MIN_BURST / share.value) - share.rows, 1)


def near_identical_requests(rows: "DataFrame", context: Context) -> "DataFrame | None":
    """Return the near-identical requests of each subject, most first: subject, n, groups (distinct requests that were copied), peak
    (requests in the busiest hour), days (requests of each day).

    Cells are used to find a group. The rows of a group are counted around the middle of its largest cell, so that the border of a cell does
    not split the group. If a subject has no group of MIN_BURST rows, n is the number of rows in its largest cell. None without subjects.
    """
    import pandas as pd

    named = rows[rows["subject"].notna()]
    if named.empty:
        return None
    numbers = {
        each.reference: cell_width(rows[each.reference].to_numpy(float)) for each in context.model.features() if each.kind == "number"
    }
    keys: list[Any] = [named["subject"].astype(str)]
    for each in context.model.features():
        values = named[each.reference]
        width = numbers.get(each.reference)
        keys.append(values.astype(str) if width is None else pd.Series(grid_cells(values.to_numpy(float), width), named.index))
    code = pd.util.hash_pandas_object(pd.concat(keys, axis=1), index=False)
    frame = pd.DataFrame({"subject": keys[0], "code": code})
    cells_of_subjects = frame.groupby(["subject", "code"])
    sizes, rows_of = cells_of_subjects.size().rename("n").reset_index(), cells_of_subjects.indices
    best = sizes.sort_values(["n", "subject", "code"], ascending=[False, True, True]).drop_duplicates("subject")
    best = best.assign(groups=1, peak=0)
    each_day, many = event_days(named), frame["subject"].value_counts()
    days = {place: each_day[rows_of[subject, code]] for place, subject, code in best[["subject", "code"]].itertuples()}
    for place, subject in best["subject"].head(LARGEST_GROUPS).items():
        if many[subject] >= MIN_BURST:
            mine = frame["subject"] == subject
            copies = near_copy_bursts(named[mine], frame.loc[mine, "code"], numbers, context)
            if copies:
                hours = pd.concat(copies)["at"].dt.floor("h").value_counts()
                best.loc[place, ["n", "groups", "peak"]] = sum(map(len, copies)), len(copies), int(hours.max())
                days[place] = np.concatenate([event_days(each) for each in copies])
    return best.drop(columns="code").assign(days=pd.Series(days, dtype=object)).sort_values(["n", "subject"], ascending=[False, True])


def near_copy_bursts(rows: "DataFrame", code: "Series[Any]", numbers: "dict[str, float]", context: Context) -> "list[DataFrame]":
    """Return the groups of at least MIN_BURST near-identical rows of one subject, largest cell first."""
    groups: list[DataFrame] = []
    while len(rows) >= MIN_BURST:
        largest = code.value_counts().sort_index().idxmax()
        alike = near_the_middle(rows, rows[code == largest], numbers, context)
        if alike.sum() < MIN_BURST:
            break
        groups.append(rows[alike])
        rows, code = rows[~alike], code[~alike]
    return groups


def near_the_middle(rows: "DataFrame", seed: "DataFrame", numbers: "dict[str, float]", context: Context) -> "NDArray[np.bool_]":
    """Return which rows are near the middle of the seed: within one cell width in every number, and equal in every other feature."""
    near = np.ones(len(rows), bool)
    for each in context.model.features():
        if each.reference not in numbers:
            near &= (rows[each.reference].astype(str) == str(seed[each.reference].iloc[0])).to_numpy()
            continue
        values, middle = rows[each.reference].to_numpy(float), np.median(seed[each.reference].to_numpy(float))
        near &= np.abs(values - middle) <= numbers[each.reference] if np.isfinite(middle) else ~np.isfinite(values)
    return near


def cell_width(every: "NDArray[np.float64]") -> float:
    """Return a tenth of the robust standard deviation of a number, from the quartiles of all rows. If the quartiles are equal, as for an
    amount of rain, the quantiles 0.001 and 0.999 are used; if these are equal too, the width is 0.
    """
    finite = every[np.isfinite(every)]
    if not finite.size:
        return 0.0
    least, low, high, most = np.quantile(finite, [0.001, 0.25, 0.75, 0.999])
    return float(ALIKE * ((high - low) / 1.349 or (most - least) / 6.18))


def grid_cells(numbers: "NDArray[np.float64]", width: float) -> "NDArray[np.float64]":
    """Return the cell of each number; one cell is centred on 0. If the width is 0, the cell is the value itself."""
    there = np.where(np.isfinite(numbers), numbers, 0.0)
    return np.where(np.isfinite(numbers), np.round(there / width) if width > 0 else there, np.inf)


def default_score(now: "DataFrame", known: "Sequence[DataFrame]", context: Context) -> list[Finding]:
    """Return the finding about a score whose share rose sharply. That happens if a service returns a default without calling the model.

    known: rows of the month before, and of the reference if there is one. A default score meets three conditions: the value is new; far
    more distinct inputs have it than had any one value before; and the inputs do not explain it. If there is a reference, only its scores
    count as the model's own, because the month before may contain the default too. Scores that many inputs share by nature, such as those
    of a saturated ensemble of trees, are not defaults and have no limit.
    """
    scored, before, *_ = (each[np.isfinite(each["score"].to_numpy(float))] for each in (now, *known))
    if len(scored) < MIN_REQUESTS or len(before) < MIN_REQUESTS:
        return []
    values, counts = np.unique(scored["score"].to_numpy(float), return_counts=True)
    value, settings, name = float(values[counts.argmax()]), context.model.settings, f"{NAME}/{DEFAULTS}"
    share = sampled_share(*(shares_by_day(event_days(each), event_days(each[each["score"] == value])) for each in (scored, before)))
    watch, act = stated_limits(settings, name, DEFAULT_WATCH, DEFAULT_ACT)
    growth = share.value - share.before
    usual = next(shares for shares in (inputs_by_score(each, context) for each in reversed(known)) if len(shares))
    shared = float(inputs_by_score(now, context).get(value, 0.0))
    highest = float(usual.max())
    severity: Severity = "ok" if growth < watch else "act" if growth >= act else "watch"
    limit: float | None = min(share.before + (act if severity == "act" else watch), 1.0)
    said = "."
    nature = "" if severity == "ok" else natural_reason(value, shared, highest, usual, now, known, context)
    if nature:
        severity, said, limit = "ok", f". This is an ordinary score, not a default value: {nature}.", None
    elif severity != "ok" and share.p_value > context.budget / 100:
        severity, said = "unknown", ". It may be a default value: a decision needs more predictions or days."
    elif severity != "ok":
        said = ": that is consistent with a default value given without calling the model."
    because = (
        f"Most frequent score: {value:.6g}, in {quality_percent(share.value)} of {len(scored):,} rows of the sample, "
        f"{quality_percent(share.before)} in the month before{owner_limit_words(settings.limits, name, rise_words)}{said}"
    )
    subject = context.model.subject("score")
    base = context.undecided(NAME, subject, DEFAULTS, len(scored), because, against="past")
    asks = needs_action(severity)
    return [
        replace(
            base,
            value=share.value,
            low=share.interval.low,
            high=share.interval.high,
            severity=severity,
            limit=limit,
            likely_source="system" if asks else None,
            rank=6.0 if asks else 0.0,
            evidence={
                "score": value,
                "baseline": share.before,
                "baseline_n": len(before),
                "distinct_inputs": shared,
                "distinct_inputs_before": highest,
            },
        )
    ]


def rise_words(limit: float) -> str:
    """Return a limit of a rise in points: `10 points more`."""
    return f"{100 * limit:g} points more"


def natural_reason(
    value: float,
    shared: float,
    highest: float,
    usual: "Series[float]",
    now: "DataFrame",
    known: "Sequence[DataFrame]",
    context: Context,
) -> str:
    """Return why the model itself gives a frequent score, as a clause; empty if it may be a default.

    shared: the share of distinct inputs with this score. highest: the largest earlier share of any score. usual: the earlier share of every
    score. now: rows of the window. known: earlier rows.
    """
    import pandas as pd

    if float(usual.get(value, 0.0)) > DEFAULT_KNOWN:
        return "different inputs had it before"
    if shared < DEFAULT_WATCH:
        return "few different inputs have it"
    if shared < DEFAULT_FACTOR * highest:
        return f"one value was shared by {quality_percent(highest)} of the different inputs before"
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for each in context.model.features():
        kinds[each.kind == "number"].append(each.reference)
    columns = ["score", *kinds[True], *kinds[False]]
    if not columns[1:]:
        return ""
    before = pd.concat([each[columns] for each in known], ignore_index=True)
    explained = inputs_explain(value, now.loc[now["score"] == value, columns], before, kinds[True], kinds[False])
    return "such inputs had scores near it before" if explained else ""


def inputs_by_score(rows: "DataFrame", context: Context) -> "Series[float]":
    """Return the share of the distinct inputs that have each score, by score; equal inputs count once."""
    scored = rows[np.isfinite(rows["score"].to_numpy(float))]
    distinct = scored.drop_duplicates(["score", *(each.reference for each in context.model.features())])
    return distinct["score"].value_counts(normalize=True)


ANALYZER = Analyzer(
    NAME,
    "Are there bursts of one subject, a repeated score, late predictions or wrong clocks?",
    needs,
    analyze,
    limits={COPIES: BURST_ACT, DEFAULTS: DEFAULT_ACT, CLOCK: SKEW_ACT, DISTINCT: COARSE_ACT},
    proofs=REQUEST_PROOFS,
)
