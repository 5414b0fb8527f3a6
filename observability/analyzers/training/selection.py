"""Compare the version that serves with those that answer in its shadow: is a better one at hand?

Both answered the same requests, so their losses are compared row by row: the owner's costs of errors, errors, or absolute errors. The
page *Model selection* compares the two in everything else, and a person decides there.
"""

from dataclasses import replace

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, Severity
from observability.core.formatting import format_share
from observability.core.questions import Sample
from observability.metrics.challengers import ChallengerGain, challenger_gains, loss_name

NAME, METRIC = "training/selection", "challenger_gain"
ROWS, LEAST = 20_000, 200
"""Rows of each version that are compared, and the fewest labelled pairs."""
RELEVANT, SURE = 0.05, 0.01
"""Share of the champion's loss that is worth a decision where the owner states none; p-value from which it is no chance result."""
COLUMNS = ("id", "score", "decision", "label", "label_value")


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the labelled rows of the version and of those in shadow; nothing where the model has no other version."""
    others = [version for version in context.model.versions if version.name != context.version.name]
    if context.window.slice or context.window.environment != "production" or not others:
        return {}
    shadow = Ask(Sample("outcomes", (*COLUMNS, "version"), ROWS), scope="model", environment="shadow")
    return {"champion": Ask(Sample("outcomes", COLUMNS, ROWS)), "others": shadow}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding about each version that answered in shadow, or that none did; none for a model with one version."""
    if "others" not in frames:
        return []
    gains = challenger_gains(context.model, frames["champion"], frames["others"], context.version.name)
    if not gains:
        because = f"No other version answered in shadow, so version {context.version.name} is compared with none."
        return [context.undecided(NAME, "model", METRIC, 0, because, against="peers")]
    return [gain_finding(gain, context) for gain in gains]


def gain_finding(found: ChallengerGain, context: Context) -> Finding:
    """Return whether a challenger avoids a relevant share of the champion's loss."""
    n, gain = int(found.gain.n), found.gain
    base = context.undecided(NAME, f"challenger={found.version}", METRIC, n, "", against="peers")
    same = f"on {n:,} requests that both answered"
    if n < LEAST or gain.value is None or gain.low is None or gain.high is None:
        because = f"Version {found.version} cannot be compared with version {context.version.name}: {n:,} of {LEAST} labelled requests."
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
    limits={METRIC: RELEVANT},
    proofs={METRIC: "it is a comparison of losses row by row, in a sample of the requests that both versions answered"},
)
