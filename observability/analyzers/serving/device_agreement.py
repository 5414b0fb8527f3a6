"""Compare the answers of devices with the server's answers to the same requests, and with the devices' own counts of equal answers.

A prediction of a device has the field `device`. The server's prediction has the same id and no `device`; it is in production, or else in
shadow. The disagreement of each version on devices is compared with the owner's level. If devices report `compared` and `agreed`, these
counts are compared with the rows.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.core.formatting import format_day, plural
from observability.core.numerals import percent
from observability.core.questions import Records, Sample
from observability.detection.change import stated_limits
from observability.detection.onset import estimate_onset
from observability.metrics.device_agreement import DisagreementShare, answer_pairs, counted_disagreement, disagreement_by_version
from observability.metrics.edge_fleet import DISAGREES
from observability.proofs.device_agreement import device_disagreement_proof
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

NAME, SHARE, GAP = "serving/device_agreement", "device_answer_disagreement", "device_count_gap"
ROWS, MIN_COMPARED_ANSWERS = 20_000, 50
"""Maximum number of rows that are read of each environment; minimum number of compared answers of a version for a finding."""
ACT = 0.05
"""Share of differing answers that is critical, if the owner states no level."""
COUNTED_WRONG = 0.01
"""The difference between the disagreement by rows and the devices' own counts is reported from this size on."""
ANSWERS = Sample("predictions", ("id", "at", "device", "version", "score", "decision"), ROWS)
COUNTS = Records("device_report", ("device", "at", "version", "compared", "agreed"))


def needs(context: Context) -> dict[str, Ask]:
    """Ask for answers in production and in shadow, and for the counts of devices; for nothing in a slice or another environment."""
    if context.window.slice or context.window.environment != "production":
        return {}
    return {"answers": Ask(ANSWERS, scope="model"), "shadow": Ask(ANSWERS, scope="model", environment="shadow"), "counts": Ask(COUNTS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding about each version on devices if the server also answered some of its requests. If the devices also report their own
    counts of disagreements, return a second finding. Without such requests, return nothing.
    """
    pairs = device_pairs(frames, context)
    counted = {each.version: each for each in counted_disagreement(frames["counts"])} if len(pairs) else {}
    whole = "answers" in frames and max(len(frames["answers"]), len(frames["shadow"])) < ROWS
    found = []
    for share in disagreement_by_version(pairs):
        found.append(share_finding(share, context, whole))
        found += count_finding(share, counted.get(share.version), context)
    return found


def device_pairs(frames: Frames, context: Context) -> "DataFrame":
    """The answers of devices joined with the server's answers; empty if one of the two is missing."""
    environments = {"answers": "production", "shadow": "shadow"}
    parts = [frames[name].assign(environment=of) for name, of in environments.items() if name in frames and not frames[name].empty]
    of_devices = any(part["device"].notna().any() for part in parts)
    if context.model.task is None or not of_devices:
        return pd.DataFrame(columns=["id", "at", "device", "version", "differs"])
    return answer_pairs(context.model, pd.concat(parts, ignore_index=True))


def undecided_version(context: Context, version: str, metric: str, n: int, because: str, against: Against = "level") -> Finding:
    """Return the finding of severity `unknown` about a version on devices, on which the other findings are based."""
    return context.undecided(NAME, f"version={version}", metric, n, because, against=against, whole_model=True)


def share_finding(share: DisagreementShare, context: Context, whole: bool) -> Finding:
    """Return the finding about the answers of one version. whole: whether all rows were read, not a sample."""
    watch, act = stated_limits(context.model.settings, f"{NAME}/{SHARE}", DISAGREES, ACT)
    interval, version = share.value, share.version
    value, low = interval.value or 0.0, interval.low or 0.0
    said = (
        f"{share.differing:,} of {share.n:,} answers of version `{version}` on {plural(share.devices, 'device')} differ from the server's "
        f"({percent(value)})"
    )
    if share.n < MIN_COMPARED_ANSWERS:
        more = f"it needs about {MIN_COMPARED_ANSWERS - share.n} more answers with the id of a server's answer"
        return undecided_version(context, version, SHARE, share.n, f"{said}; {more}.")
    severity: Severity = "act" if low > act else "watch" if low > watch else "ok" if value <= watch else "unknown"
    dated: dict[str, object] = {}
    onset = None
    if needs_action(severity) and share.days is not None:
        rates = [rate_interval(hits, n) for hits, n in zip(share.days["sum"], share.days["size"], strict=True)]
        errors = [((rate.high or 0.0) - (rate.low or 0.0)) / 3.92 for rate in rates]
        days = [day.date() for day in share.days["day"]]
        found = estimate_onset(days, [rate.value or 0.0 for rate in rates], errors, start=context.window.start, worse=1)
        dated, onset = found.evidence, found.at if found.known == "dated" else None
    since = f" since {format_day(onset)}" if onset else ""
    level = act if severity == "act" else watch
    ending = f"the level is {percent(level)}" if severity != "unknown" else f"beyond {percent(watch)}, but not significant"
    return replace(
        undecided_version(context, version, SHARE, share.n, f"{said}{since}; {ending}."),
        **interval.fields,
        limit=level,
        severity=severity,
        onset=onset,
        likely_source="model" if needs_action(severity) else None,
        evidence={"devices": share.devices, "version": version, "whole": whole} | dated,
    )


def count_finding(share: DisagreementShare, counted: DisagreementShare | None, context: Context) -> Iterator[Finding]:
    """Yield the finding that compares the rows of one version with its devices' own counts; none without such counts."""
    if counted is None:
        return
    rows, own = percent(share.value.value or 0.0), percent(counted.value.value or 0.0)
    said = f"Devices of version `{share.version}` count {own} of {counted.n:,} answers as different from the server's"
    n = min(share.n, counted.n)
    if n < MIN_COMPARED_ANSWERS:
        because = f"{said}, which {share.n:,} rows with the same id cannot confirm: it needs about {MIN_COMPARED_ANSWERS - n} more."
        yield undecided_version(context, share.version, GAP, n, because, "peers")
        return
    gap = difference_interval(share.value, counted.value)
    value, low, high = gap.value or 0.0, gap.low or 0.0, gap.high or 0.0
    apart = low > 0 or high < 0
    severity: Severity = "watch" if apart and abs(value) >= COUNTED_WRONG else "ok" if abs(value) < COUNTED_WRONG else "unknown"
    agrees = {"watch": "The count is wrong", "ok": "The two agree", "unknown": "The difference is not significant"}[severity]
    yield replace(
        undecided_version(
            context, share.version, GAP, n, f"{said}; the rows with the same id show {rows} of {share.n:,}. {agrees}.", "peers"
        ),
        **gap.fields,
        limit=COUNTED_WRONG,
        severity=severity,
        likely_source="system" if severity == "watch" else None,
        evidence={"version": share.version, "baseline": counted.value.value, "baseline_n": counted.n},
    )


ANALYZER = Analyzer(
    NAME,
    "Do devices answer as the server does on the requests that both answered?",
    needs,
    analyze,
    exceptions=frozenset({1}),  # no finding for a model if there are no requests that both a device and the server answered
    limits={SHARE: ACT},
    proofs={
        SHARE: device_disagreement_proof,
        f"{SHARE} otherwise": "it compares a sample of the rows",
        GAP: "it compares rows with what devices count",
    },
)
