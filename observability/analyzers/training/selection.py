"""Compare the version in use with the versions in shadow: whether a shadow version is better, and whether it is worse in a slice.

Both versions answered the same requests, so their losses are compared row by row: the owner's costs of errors, errors, or absolute errors.
Errors (or absolute errors) are also compared in each slice of the features, with the false discovery rate controlled over all slices of a
version. The page *Model selection* compares the two versions in all other respects, and a person decides there.
"""

from dataclasses import replace
from typing import Any

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity
from observability.core.formatting import format_number, format_share, plural
from observability.core.questions import Sample
from observability.detection.regressed_slices import find_regressed_slices
from observability.metrics.challengers import ChallengerGain, ChallengerPairs, challenger_gains, challenger_pairs, loss_name

NAME, METRIC, SLICE_METRIC = "training/selection", "challenger_gain", "challenger_slice_loss"
ROWS, MIN_PAIRS = 20_000, 200
"""Maximum number of rows of each version that are compared, and minimum number of labelled pairs."""
RELEVANT, SURE = 0.05, 0.01
"""Minimum share of the champion's loss that is relevant, unless the owner states one; largest p-value of a significant result."""
SLICE_RELEVANT = 0.1
"""A challenger is reported as worse in a slice if it adds at least this share of the champion's loss there, unless the owner states another
share.
"""
COLUMNS = ("id", "score", "decision", "label", "label_value")


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the labelled rows of the version in use and of the versions in shadow; nothing if the model has no other version."""
    others = [version for version in context.model.versions if version.name != context.version.name]
    if context.window.slice or context.window.environment != "production" or not others:
        return {}
    shadow = Ask(Sample("outcomes", (*COLUMNS, "version"), ROWS), scope="model", environment="shadow")
    features = tuple(each.reference for each in context.model.features())
    return {"champion": Ask(Sample("outcomes", (*COLUMNS, *features), ROWS)), "others": shadow}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding about each version that answered in shadow, or one that no version did; empty for a model with one version."""
    if "others" not in frames:
        return []
    gains = challenger_gains(context.model, frames["champion"], frames["others"], context.version.name)
    if not gains:
        because = f"No other version answered in shadow, so version {context.version.name} is compared with none."
        return [context.undecided(NAME, "model", METRIC, 0, because, against="peers")]
    pairs = challenger_pairs(context.model, frames["champion"], frames["others"], context.version.name)
    slices = [found for each in pairs if (found := slice_finding(each, context)) is not None]
    return [*(gain_finding(gain, context) for gain in gains), *slices]


def slice_finding(pairs: ChallengerPairs, context: Context) -> Finding | None:
    """Return the finding about the slice in which a challenger adds most loss, or the finding that it is worse in no slice. None if there
    are fewer than MIN_PAIRS pairs or no slices.
    """
    model, n = context.model, len(pairs.label)
    found: dict[str, Any] = find_regressed_slices(model, pairs) if n >= MIN_PAIRS else {"looked_at": 0, "rows": []}
    if not found["looked_at"]:
        return None
    worth = model.settings.limits.get(f"{NAME}/{SLICE_METRIC}", SLICE_RELEVANT)
    worse = [row for row in found["rows"] if row["change"] >= worth * row["then"]]
    who = f"Version {pairs.version} in shadow"
    unit = "absolute error" if model.task == "regression" else "error rate"
    told = format_number if model.task == "regression" else format_share
    if not worse:
        because = f"{who} is not significantly and relevantly worse than version {context.version.name} in any of "
        because += f"{plural(found['looked_at'], 'slice')}, on {n:,} requests that both answered (an {unit} {format_share(worth)} higher "
        because += "would be relevant)."
        base = context.undecided(NAME, f"challenger={pairs.version}", SLICE_METRIC, n, because, against="peers")
        return replace(base, severity="ok", value=0.0, low=0.0, high=0.0)
    first = worse[0]
    more = f" It is also worse in {len(worse) - 1} more." if len(worse) > 1 else ""
    because = (
        f"{who} is worse where {first['name']}: {unit} {told(first['new'])} where version {context.version.name} has "
        f"{told(first['then'])}, {told(first['change'])} more ({told(first['low'])} to {told(first['high'])}) "
        f"on {first['n']:,} requests that both answered; "
        f"{found['looked_at']:,} slices were tested.{more}"
    )
    return replace(
        context.undecided(NAME, f"challenger={pairs.version}", SLICE_METRIC, first["n"], because, against="peers"),
        value=first["change"],
        low=first["low"],
        high=first["high"],
        limit=worth * first["then"],
        severity="watch",
        slice=first["slice"],
        likely_source="model",
        rank=1.5,
        evidence={
            "challenger": pairs.version,
            "slice_name": first["name"],
            "p_adjusted": first["p_adjusted"],
            "tested": found["looked_at"],
            "slices": [row["name"] for row in worse],
        },
    )


def gain_finding(found: ChallengerGain, context: Context) -> Finding:
    """Return the finding whether a challenger avoids a relevant share of the champion's loss."""
    n, gain = int(found.gain.n), found.gain
    base = context.undecided(NAME, f"challenger={found.version}", METRIC, n, "", against="peers")
    same = f"on {n:,} requests that both answered"
    if n < MIN_PAIRS or gain.value is None or gain.low is None or gain.high is None:
        because = f"Version {found.version} cannot be compared with version {context.version.name}: {n:,} of {MIN_PAIRS} labelled requests."
        return replace(base, because=because)
    worth = context.model.settings.limits.get(f"{NAME}/{METRIC}", RELEVANT)
    near, far = sorted((abs(gain.low), abs(gain.high)))
    ends = f"({format_share(near)} to {format_share(far)})"
    severity: Severity = "ok" if gain.high < worth else "unknown"
    if gain.value >= worth and found.p_value <= SURE:
        severity = "watch"
    loss, who = loss_name(context.model), f"Version {found.version} in shadow"
    serving = f"of the {loss} of version {context.version.name}"
    if severity == "watch":
        because = f"{who} avoids {format_share(gain.value)} {serving} {ends} {same}. Decide whether it serves."
    elif gain.high < 0:
        because = f"{who} adds {format_share(-gain.value)} to the {loss} of version {context.version.name} {ends} {same}."
    elif severity == "ok":
        because = f"{who} avoids less than {format_share(worth)} {serving} {same}."
    else:
        because = f"Whether {who[0].lower()}{who[1:]} avoids {format_share(worth)} {serving} is not certain {same}."
    return replace(
        base,
        value=gain.value,
        low=gain.low,
        high=gain.high,
        limit=worth,
        severity=severity,
        because=because,
        likely_source="model" if severity == "watch" else None,
        rank=2.0,
        evidence={
            "challenger": found.version,
            "loss": loss,
            "champion_loss": found.champion_loss,
            "challenger_loss": found.challenger_loss,
        },
    )


ANALYZER = Analyzer(
    NAME,
    "Does a version in shadow make fewer errors than the one that serves?",
    needs,
    analyze,
    exceptions=frozenset({1}),  # a model with one version has nothing to compare
    labels=True,
    limits={METRIC: RELEVANT, SLICE_METRIC: SLICE_RELEVANT},
    proofs=dict.fromkeys((METRIC, SLICE_METRIC), "it is a comparison of losses row by row, in a sample of the requests that both answered"),
)
