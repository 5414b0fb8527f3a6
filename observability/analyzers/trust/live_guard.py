"""Check who sends requests to a live model, what the requests contain, and whether people rely on the model when it is right.

Findings are about requests far from the reference, subjects that copy the model or search its decision boundary, odd texts, and errors of
the model that people followed.

A sample of the window's requests, of limited size, is read. Texts are checked for every model (detection/odd_texts.py); everything else
needs a reference. Distances are compared with the distances of the reference's own rows. A subject is compared with all others, or with
rows of the reference if the others send too few requests; coverage compared with the reference is only a warning, because drift changes
it too. The finding about a subject states the probability that any subject of a clean window is named (detection/live_guard.py). The
named subjects are on the block list of the page. A share of far requests that the previous week had too counts as ongoing, unless it is
significantly more than MUCH_MORE times the share of each past week.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import OTHERS, OTHERWISE, Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.core.formatting import format_share, join_words, plural
from observability.core.owner_level import beyond_level, held_against_level, level_name
from observability.core.questions import Sample
from observability.core.window import EPOCH
from observability.detection.days_beyond import evidence_of_days_beyond
from observability.detection.live_guard import (
    FAR_FACTOR,
    MAX_SENDERS,
    MIN_REQUESTS,
    NOT_NAMED,
    FarSender,
    GuardClaim,
    GuardedRequests,
    far_by_day,
    far_features,
    guard_columns,
    guarded_requests,
    reference_columns,
)
from observability.detection.odd_texts import (
    FIXED_LIMIT,
    MIN_PAST,
    MIN_TEXTS,
    TOKENS,
    ComparedTexts,
    OddTexts,
    odd_texts,
    other_texts,
    texts_of,
)
from observability.detection.windows import WEEK
from observability.metrics.reliance import acted_pairs, reliance_of
from observability.proofs.outcomes import reliance_proof
from observability.proofs.rank_correlations import PAST_DAYS, PAST_ROWS
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

NAME, FAR_RATE, ODD_SUBJECTS = "trust/live_guard", "far_request_share", "odd_subjects"
REQUESTS, REFERENCE, MIN_ASKED = 4000, 3000, 100
"""Maximum number of requests and of reference rows that are read, and minimum number of requests."""
ACTIONS, MIN_ACTIONS = Sample("outcomes", ("id", "decision", "label", "extra"), REQUESTS), 20
"""The query for how people acted on answers, and the minimum number of errors or right answers for a finding about reliance."""
FAR_WATCH = 0.03
"""A share of far requests above this is a warning: three times the share among the reference's own rows."""
MUCH_MORE = 2.0
"""If far requests are usual, their share is new only if it is at least this multiple of the largest share of the past weeks."""
METRIC_OF = {
    "extraction": "input_coverage",
    "unfamiliar": FAR_RATE,
    "boundary": "boundary_request_share",
    "oversized": "oversized_text_share",
    "prompt": "prompt_text_share",
}
SAMPLED = "it is of a sample of the predictions"
MAX_NAMED = 3
ATTACKS = ("extraction", "boundary")
"""Checks whose findings are critical, because such requests serve only to copy or to mislead the model. Coverage that is compared with the
reference is an exception, because drifted inputs cover more too.
"""
OF_TEXTS = ("oversized", "prompt")
"""Checks of texts. Texts are compared with earlier texts or with a reference, not with other subjects."""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for samples of the requests, of earlier texts, and of the reference. For a version without a reference, ask only for texts; for a
    controller, for nothing.
    """
    context = of_guarded_features(context)
    features = tuple(each.reference for each in context.model.features())
    if context.model.steers:
        return {}
    compared = bool(features and context.version.reference_rows)
    texts = ("extra",) if compared else ("extra", *sized_columns(context))
    asks = {"past texts": Ask(Sample("predictions", ("id", *texts), PAST_ROWS), span="past", days=PAST_DAYS, scope="model")}
    if not compared:
        return asks | {"current": Ask(Sample("predictions", ("id", "subject", *texts), REQUESTS))}
    asked, known = (
        Sample("predictions", (*guard_columns(context.model), "extra"), REQUESTS),
        Sample("predictions", reference_columns(context.model), REFERENCE),
    )
    past = Ask(Sample("predictions", ("id", "at", *features), PAST_ROWS), span="past", days=PAST_DAYS)
    asks |= {"current": Ask(asked), "reference": Ask(known, span="reference"), "past": past}
    return asks | ({"actions": Ask(ACTIONS)} if context.model.classes else {})


def sized_columns(context: Context) -> tuple[str, ...]:
    """Return the text features of a version without a reference, and the number of input tokens of a language model."""
    return tuple(each.reference for each in context.model.features() if each.kind == "category" or each.reference == TOKENS)


def of_guarded_features(context: Context) -> Context:
    """Return the context with only those features in its model that define the input space: all, or the most important ones if there are
    very many.
    """
    model = context.model
    names = set(context.most_important(tuple(each.name for each in model.features())))
    columns = tuple(each for each in model.columns if each.role != "feature" or each.name in names)
    return context if len(columns) == len(model.columns) else replace(context, model=replace(model, columns=columns))


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about far requests, about each subject that stands out (or one that none does), and about texts."""
    context = of_guarded_features(context)
    if "current" not in frames:
        return []
    now = frames["current"].sort_values("id", kind="stable", ignore_index=True)
    found = text_findings(odd_texts_of(now, frames, context), len(now), context)
    if "reference" not in frames:
        return found
    guard = guarded_requests(now, frames["reference"], context.model) if len(now) >= MIN_ASKED else None
    if guard is None:
        because = f"Requests cannot be compared: that needs {MIN_ASKED} requests, here are {len(now):,}, and as many rows of the reference."
        return [context.undecided(NAME, "model", FAR_RATE, len(now), because), *(each for each in found if each.severity != "unknown")]
    people = reliance_findings(frames["actions"], context) if "actions" in frames else ()
    odd = any(each.evidence.get("subjects") for each in found)
    return [far_finding(guard, frames["past"], context), *subject_findings(guard, context, odd), *found, *people]


def odd_texts_of(now: "DataFrame", frames: Frames, context: Context) -> OddTexts:
    """Return the odd texts of requests. Features are compared with the reference, all other texts with the weeks before."""
    past, reference = frames["past texts"], frames.get("reference")
    if reference is None:
        names = [name for name in sized_columns(context) if name != TOKENS]
        sizes = tuple(rows[TOKENS].to_numpy(np.float64) for rows in (now, past)) if TOKENS in now else ()
        texts = ComparedTexts(texts_of(now, names), texts_of(past, names), sizes=sizes)
    else:
        names = [each.reference for each in context.model.features() if each.kind != "number"]
        known, registered = ({name: rows[name].to_numpy(object) for name in names} for rows in (now, reference))
        texts = ComparedTexts(other_texts(now), other_texts(past), known, registered)
    return odd_texts(texts, now["subject"].to_numpy(object), list(map(str, now["id"])))


def text_findings(odd: OddTexts, requests: int, context: Context) -> list[Finding]:
    """Return a finding about each kind of odd texts, or one finding that there are none; empty if there are no texts of several words."""
    found = [claim_finding(claim, requests, context) for claim in odd.claims]
    if not odd.texts or found:
        return found
    base = context.undecided(NAME, "model", METRIC_OF["prompt"], odd.texts, "", against="past")
    if odd.texts < MIN_TEXTS:
        return [replace(base, because=f"Texts cannot be judged yet on {odd.texts:,}: about {MIN_TEXTS - odd.texts:,} more are needed.")]
    size = f"more than {FIXED_LIMIT:,} characters long" if odd.fixed else "oversized compared with the weeks before"
    if odd.unjudged:
        gives = (
            f"{plural(odd.unjudged, 'text')} of {odd.texts:,} {'gives' if odd.unjudged == 1 else 'give'} instructions to a language model"
        )
        return [replace(base, because=f"{gives}. Whether that is usual needs {MIN_PAST} earlier texts.")]
    if odd.more:
        gives = f"{plural(odd.more, 'text')} of {odd.texts:,} {'gives' if odd.more == 1 else 'give'} instructions to a language model"
        return [replace(base, because=f"{gives}: probably a larger share than before, but too few to be sure.")]
    held = "none gives" if not odd.usual else f"{odd.usual:,}, not significantly more than before, {'gives' if odd.usual == 1 else 'give'}"
    because = f"No text of {odd.texts:,} is {size}, and {held} instructions to a language model."
    share = rate_interval(odd.usual, odd.texts)
    return [replace(base, value=share.value, low=share.low, high=share.high, severity="ok", because=because)]


def far_finding(guard: GuardedRequests, before: "DataFrame", context: Context) -> Finding:
    """Return the finding about the share of requests that are far from the reference. It is compared with the share of far rows in the
    reference, or with the owner's level.

    before: requests of the past weeks, from which it is decided whether the share is ongoing.
    """
    n, share, hits = len(guard.distances), guard.far, guard.far_count
    base = context.undecided(NAME, "model", FAR_RATE, n, "")
    base = replace(base, value=share.value, low=share.low, high=share.high, rank=3.0)
    level = context.model.settings.limits.get(level_name(base))
    limit = FAR_WATCH if level is None else level
    severity: Severity = beyond_level(base, limit)
    if level is None:
        severity = "watch" if severity == "act" else "unknown" if severity == "watch" else "ok"
    names = {each.reference: each.name for each in context.model.features()}
    far = (
        [(names.get(reference, reference), part) for reference, part in far_features(guard.space, guard.points)] if severity != "ok" else []
    )
    because = f"{format_share(share.value or 0.0)} of {n:,} requests are far from the reference; 1 % of the reference rows are"
    if severity == "unknown":
        because += f". Whether that is more than {format_share(limit)} needs more requests"
    elif far:
        because += f". Most of the distance is in {' and '.join(f'`{name}` ({format_share(part)})' for name, part in far[:2])}"
    if severity != "ok" and guard.main_senders:
        because += f". {senders_sentence(guard.main_senders, hits, n)}"
    asks = needs_action(severity)
    past = far_in_past(guard, before, base, limit, context) if asks else {}
    return replace(
        base,
        severity=severity,
        limit=limit,
        against="reference" if level is None else "level",
        because=f"{because}.",
        likely_source="input" if asks else None,
        news="new" if past.get("standing") is False else None,
        evidence=past
        | {
            "far": [{"feature": name, "share": part} for name, part in far[:5]],
            "senders": [asdict(each) | {"share": each.far / hits} for each in guard.senders[:MAX_SENDERS]] if severity != "ok" else [],
        },
    )


def far_in_past(guard: GuardedRequests, before: "DataFrame", base: Finding, limit: float, context: Context) -> dict[str, Any]:
    """Return as evidence whether a share of far requests is ongoing, and since when; empty if the week before has too few requests."""
    if before.empty:
        return {}
    days, n, far = far_by_day(guard.space, before)
    ages = ((context.window.start - EPOCH).days - 1 - days) // WEEK
    weeks = [(n[ages == age].sum(), far[ages == age].sum()) for age in range(PAST_DAYS // WEEK)]
    shares = [float(hits / asked) if asked >= MIN_ASKED else None for asked, hits in weeks]
    last = shares[0]
    if last is None:
        return {}
    highest = max(share for share in shares if share is not None)
    stands = last > limit and (base.low or 0.0) <= MUCH_MORE * highest
    rates = (far + 1) / (n + 2)
    since = evidence_of_days_beyond(days, far / n - limit, np.sqrt(rates * (1 - rates) / n)) if stands else {}
    return {"standing": stands, "week_before": last} | since


def senders_sentence(senders: Sequence[FarSender], far: int, requests: int) -> str:
    """Return a clause, without a full stop: which share of the far requests a few subjects send, compared with their share
    of all requests.
    """
    part, share = (format_share(each) for each in (sum(s.n for s in senders) / requests, sum(s.far for s in senders) / far))
    verb = "sends" if len(senders) == 1 else "send"
    return f"{plural(len(senders), 'subject')} with {part} of all requests {verb} {share} of the far ones"


def subject_findings(guard: GuardedRequests, context: Context, odd: bool) -> Iterator[Finding]:
    """Yield a finding about each unusual subject and check, or one that no subject is unusual; none if requests have no subject. odd:
    whether subjects are already named because of their texts.
    """
    for claim in guard.claims:
        yield claim_finding(claim, len(guard.distances), context)
    if odd or not guard.named or any(claim.subjects for claim in guard.claims):
        return
    base = context.undecided(NAME, "model", ODD_SUBJECTS, len(guard.judged), "", against="peers")
    if not guard.judged:
        yield replace(base, because=f"No subject has {MIN_REQUESTS} of the {len(guard.distances):,} requests of the sample.")
    elif guard.lone is not None:
        known = guard.margins_known
        severity: Severity = "ok" if known else "unknown"
        found = replace(base, against="reference", severity=severity, because=lone_sentence(guard))
        yield replace(found, value=0.0, low=0.0, high=0.0, limit=0.0) if known else found
    else:
        because = f"No subject stands out among {plural(len(guard.judged), 'subject')} with {MIN_REQUESTS} requests of the sample or more."
        yield replace(base, value=0.0, low=0.0, high=0.0, limit=0.0, severity="ok", because=because)


def lone_sentence(guard: GuardedRequests) -> str:
    """Return the sentences about a subject that sends nearly all requests and does not stand out: which checks were made, and which not."""
    because = f"Subject `{guard.lone}` sends nearly all requests, so it was compared with the reference: no sign that it copies the model"
    if guard.margins_known:
        return f"{because} or searches its decision boundary. Its far requests were compared with nobody's."
    return f"{because}. Whether it searches the decision boundary is unknown: the reference has too few scores."


def claim_finding(claim: GuardClaim, requests: int, context: Context) -> Finding:
    """Return the finding about one subject that stands out by one check."""
    who = "model" if claim.subject == NOT_NAMED else f"subject={claim.subject}"
    attack = claim.check in ATTACKS and bool(claim.blocked)
    level = FAR_FACTOR * claim.usual if claim.check in ("unfamiliar", "boundary") else claim.usual
    against: Against = "past" if claim.check in OF_TEXTS else "reference" if claim.alone else "peers"
    base = context.undecided(NAME, who, METRIC_OF[claim.check], claim.requests, claim_sentence(claim, requests), against=against)
    return replace(
        base,
        value=claim.share.value,
        low=claim.share.low,
        high=claim.share.high,
        limit=None if claim.check in OF_TEXTS else level,
        severity="act" if attack else "watch",
        likely_source="system",
        rank=7.0 if attack else 5.0,
        evidence={
            "check": claim.check,
            "requests": claim.requests,
            "baseline": claim.usual,
            "ids": list(claim.ids),
            "subjects": list(claim.subjects),
            "blocked": list(claim.blocked),
        },
    )


def claim_sentence(claim: GuardClaim, requests: int) -> str:
    """Return the sentence about what a subject does, with the figures and the next step."""
    who = f"Subject `{claim.subject}`"
    share, usual = format_share(claim.share.value or 0.0), format_share(claim.usual)
    if claim.check == "extraction":
        others = "rows of the reference" if claim.alone else "requests of the others"
        covers = (
            f"{who} covers {share} of the input space with {claim.requests:,} requests; as many {others} cover {usual}: consistent with"
        )
        if claim.alone:
            return f"{covers} copying the model, and also with inputs that drifted. Compare with the drift of the features."
        return f"{covers} copying the model. Limit its requests, or block it."
    if claim.check == "boundary":
        others = "rows of the reference" if claim.alone else "the others' requests"
        return (
            f"{who} searches the decision boundary: {share} of {claim.requests:,} requests in {plural(claim.groups, 'group')} of "
            f"near-identical ones are at the boundary, {usual} of {others}. Limit its requests, or block it."
        )
    if claim.check == "unfamiliar":
        return (
            f"{who} sends requests far from the reference: {share} of {claim.requests:,}, at most {usual} of the others'. Open an example."
        )
    kind = "an oversized text" if claim.check == "oversized" else "a text that gives instructions to a language model"
    named = [f"`{subject}`" for subject in claim.subjects[:MAX_NAMED]]
    senders = f", sent by {join_words(named, MAX_NAMED)}{' and others' if len(claim.subjects) > MAX_NAMED else ''}" if named else ""
    return f"{plural(claim.requests, 'request')} of {requests:,} hold {kind}{senders}. Open an example."


def reliance_findings(actions: "DataFrame", context: Context) -> Iterator[Finding]:
    """Yield up to two findings, compared with the owner's level: the share of the model's errors that people followed, and the share of its
    right answers that they overrode.
    """
    found = reliance_of(acted_pairs(actions, context.model))
    shares = (
        ("over_reliance", found.over_reliance, "errors of the model"),
        ("under_reliance", found.under_reliance, "right answers of the model"),
    )
    for metric, share, what in shares:
        if share.value is None or share.n < MIN_ACTIONS:
            continue
        did = "followed" if metric == "over_reliance" else "overrode"
        because = (
            f"People {did} {format_share(share.value)} of {share.n:,.0f} {what} ({format_share(share.low)} to {format_share(share.high)})."
        )
        base = context.undecided(NAME, "model", metric, round(share.n), because, against="level")
        base = replace(base, evidence={"sampled": len(actions) >= REQUESTS})
        yield held_against_level(replace(base, value=share.value, low=share.low, high=share.high, rank=2.0), context.model.settings.limits)


ANALYZER = Analyzer(
    NAME,
    "Are requests far from the reference, and does a subject copy the model, search its boundary or send odd texts?",
    needs,
    analyze,
    limits={FAR_RATE: None, "over_reliance": None, "under_reliance": None},
    proofs={
        **dict.fromkeys(("over_reliance", "under_reliance"), reliance_proof),
        **{f"{metric}{OTHERWISE}": SAMPLED for metric in ("over_reliance", "under_reliance")},
        **{METRIC_OF[check]: "a program reads a sample of the texts" for check in OF_TEXTS},
        OTHERS: "it is a comparison of distances between requests and rows of the reference, in a sample",
    },
)
