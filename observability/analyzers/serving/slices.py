"""In which slice is it worse: which part of the rows changed otherwise than the rest?

A bounded sample of the window and of what it is held against is searched: every level of every category, bands of numbers, replicas, devices, and
pairs of them, for errors that grew, values that went missing and values that moved (stats/slices.py). A change that all rows share
names no slice: that is said by the analyzers about the whole. What the owner watches (`slices` of the settings) is reported in any case.
"""

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding
from observability.core.questions import UNKNOWN, Aggregate, By, Sample
from observability.detection import slice_sentences as words
from observability.detection import slice_versions as versions
from observability.detection.slice_claims import NAME, Held, claims
from observability.detection.slice_report import summary, watched
from observability.metrics import slice_rows as rows
from observability.stats.slices import LEAST

ROWS = 20_000
"""Rows of each side, those with the smallest hashes of their ids."""
PAST_DAYS = 28
MATURE = 0.8
"""Below this share of the labels that usually come, errors may be the labels' youth."""


def needs(context: Context) -> dict[str, Ask]:
    """Samples of the window, of the reference and of the past month, and how many labels are in."""
    if context.window.days < 1 or not rows.sliced(context):
        return {"volume": Ask(Aggregate("predictions"))}
    sample = Sample("outcomes", rows.columns(context), ROWS)
    labels = Aggregate("outcomes", keys=(By("label"),))
    asks = {"current": Ask(sample), "past": Ask(sample, span="past", days=PAST_DAYS, scope="model")}
    if context.version.reference_rows:
        asks["reference"] = Ask(sample, span="reference")
    if (beside := versions.question(context)) is not None:
        asks["versions"] = Ask(beside, scope="model")
    return asks | {"labels": Ask(labels), "past_labels": Ask(labels, span="past", days=PAST_DAYS, scope="model")}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """A finding for each slice that stands out, for each that is watched, and one about the search."""
    if "volume" in frames:
        n = int(frames["volume"]["n"].sum())
        because = "Slices are compared over a day or more." if rows.sliced(context) else "There is no feature or group to slice by."
        return [words.unknown(context, n, because)]
    now, past = rows.ordered(frames["current"]), rows.ordered(frames["past"])
    if len(now) < 2 * LEAST:
        return [words.unknown(context, len(now), words.too_few(len(now), 2 * LEAST))]
    against: Against = "reference" if "reference" in frames else "past"
    before = rows.ordered(frames["reference"]) if "reference" in frames else past
    if len(before) < 2 * LEAST:
        return [
            words.unknown(
                context,
                len(now),
                "There is neither a reference nor a past to hold slices against: register this version with held-out predictions.",
            )
        ]
    held = [Held.searched(now, before, context, against)]
    fields = [name for name in rows.FIELDS if now.levels(name).names]
    if fields:
        held.append(Held.searched(now, past if len(past) >= 2 * LEAST else past.none(), context, "past", fields))
    young = maturity(frames)
    named = [each for part in held for each in claims(part, context, young)]
    if "versions" in frames:
        named += versions.claim(frames["versions"], context)
    return [*named, *watched(held[0], now, before, context), summary(held, named, now, before, context)]


def maturity(frames: Frames) -> bool:
    """Whether labels are too young: fewer are in than 80 % of the share that the past month has."""
    shares = []
    for name in ("labels", "past_labels"):
        counts = frames[name]
        total = counts["n"].sum()
        shares.append(float(counts.loc[counts["label"] != UNKNOWN, "n"].sum() / total) if total else None)
    now, past = shares
    return now is not None and now < MATURE * (past or 1.0)


ANALYZER = Analyzer(
    NAME, "In which slice is it worse: which part of the rows changed otherwise than the rest?", needs, analyze, labels=True
)
