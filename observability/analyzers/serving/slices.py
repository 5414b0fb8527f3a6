"""Find slices of rows that changed significantly more than the rest.

A sample of limited size of the window and of its baseline is searched (stats/slices.py): every level of every category, bands of numbers,
replicas, devices, and pairs of these. The search looks for errors that grew, values that went missing and values that moved. A change that
all rows share gives no slice, and neither does a change of the other rows alone: the analyzers of all rows report these changes. A slice
whose errors are significantly larger than elsewhere is reported in any case (detection/slice_levels.py), and slices that the owner watches
(`slices` of the settings) are always reported.
"""

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding
from observability.core.questions import Aggregate, Bucket, By, Sample
from observability.detection import slice_sentences as words
from observability.detection import slice_versions as versions
from observability.detection.slice_claims import NAME, SearchedSlices, slice_claims_of
from observability.detection.slice_levels import weak_slices
from observability.detection.slice_past import PAST_DAYS, PastSlices
from observability.detection.slice_report import slice_search_summary, watched_slices, weak_slice_claims
from observability.metrics import slice_rows as rows
from observability.metrics.performance import served_and_labelled
from observability.metrics.settled_labels import labelled_days
from observability.proofs.groups import SLICE_PROOFS
from observability.stats.slices import MIN_ROWS


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: samples of the window, of the reference and of the past month, and the number of labels that have arrived."""
    if context.window.days < 1 or not rows.slicing_columns(context):
        return {"volume": Ask(Aggregate("predictions"))}
    sample = Sample("outcomes", rows.slice_references(context), words.SAMPLE_ROWS)
    labels = Aggregate("outcomes", keys=(Bucket("day"), By("label")))
    asks = {"current": Ask(sample), "past": Ask(sample, span="past", days=PAST_DAYS, scope="model")}
    if context.version.reference_rows:
        asks["reference"] = Ask(sample, span="reference")
    if (beside := versions.loss_by_version_question(context)) is not None:
        asks["versions"] = Ask(beside, scope="model")
    return asks | {"labels": Ask(labels), "past_labels": Ask(labels, span="past", days=PAST_DAYS, scope="model")}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding for each significant slice, for each watched slice, and one about the search."""
    if "volume" in frames:
        n = int(frames["volume"]["n"].sum())
        because = (
            "Slices are compared over a day or more." if rows.slicing_columns(context) else "There is no feature or group to slice by."
        )
        return [words.undecided_slices(context, n, because)]
    now, past = rows.sampled_by_id(frames["current"]), rows.sampled_by_id(frames["past"])
    if len(now) < 2 * MIN_ROWS:
        return [words.undecided_slices(context, len(now), words.too_few_rows(len(now), 2 * MIN_ROWS))]
    against: Against = "reference" if "reference" in frames else "past"
    before = rows.sampled_by_id(frames["reference"]) if "reference" in frames else past
    if len(before) < 2 * MIN_ROWS:
        return [
            words.undecided_slices(
                context,
                len(now),
                "There is neither a reference nor a past to compare slices with: register this version with held-out predictions.",
            )
        ]
    held = [SearchedSlices.searched(now, before, context, against)]
    fields = [name for name in rows.FIELDS if now.levels(name).names]
    if fields:
        held.append(SearchedSlices.searched(now, past if len(past) >= 2 * MIN_ROWS else past.none(), context, "past", fields))
    young = young_labels(frames)
    own_past = PastSlices(past, before, context) if against == "reference" else None
    named = [each for part in held for each in slice_claims_of(part, context, young, own_past if part is held[0] else None)]
    weaker = weak_slices(held[0], context)
    named += weak_slice_claims(held[0], weaker, named, context, young, own_past)
    if "versions" in frames:
        named += versions.version_slice_claim(frames["versions"], context)
    return [*named, *watched_slices(held[0], now, before, context), slice_search_summary(held, weaker, named, now, before, context)]


def young_labels(frames: Frames) -> bool:
    """Return whether errors may be due to labels that are still missing, given the usual share of the past month."""
    served, labelled = served_and_labelled(frames["past_labels"])
    return not labelled_days(frames["labels"], labelled / served if labelled else 1.0).settled


ANALYZER = Analyzer(NAME, "Which slices changed significantly more than the rest?", needs, analyze, labels=True, proofs=SLICE_PROOFS)
