"""The live guard page: distances of requests to the reference, subjects that stand out with a block list, and reliance of people."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import NotFoundError
from observability.core.questions import Sample
from observability.dashboard import frame, links, load
from observability.dashboard.charts import audits as charts_audits
from observability.dashboard.frame import ModelPage
from observability.dashboard.state_cache import cached_by_state
from observability.dashboard.table import column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, plain_caption
from observability.detection.live_guard import (
    LEAST_REQUESTS,
    MISSING,
    GuardClaim,
    InputSpace,
    far_features,
    guard_claims,
    input_space,
    neighbour_distances,
    odd_texts,
    reliance_of,
)
from observability.investigation.logged_prediction import row_from
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from observability.core.catalog import Model
    from observability.stats.arrays import Floats

REQUESTS, REFERENCE, VERDICTS, CELL = 4000, 3000, 200, 0.1
MOST_FEATURES = 4
WORDS = {
    "extraction": "covers the input space",
    "unfamiliar": "far from the reference",
    "boundary": "searches the boundary",
    "oversized": "oversized text",
    "prompt": "prompt-like text",
}
COLUMNS = columns_on_phone(
    "subject check share",
    column("subject", "Subject", strong=True),
    column("check", "What stands out"),
    column("share", "Share", align="right"),
    column("usual", "Usual", align="right"),
    *number_columns(requests="Requests"),
    column("example", "Example"),
)
RELIANCE = (column("person", "Person", strong=True), *number_columns(right="Model right", wrong="Model wrong"))


@dataclass(frozen=True)
class GuardView:
    """What the page shows. far: by feature, its share of the distance of far requests. named: requests that name their subject."""

    space: InputSpace
    distances: "Floats"
    far: tuple[tuple[str, float], ...]
    claims: tuple[GuardClaim, ...]
    requests: int
    named: int


def guard_view(here: ModelPage) -> GuardView | None:
    """The guard of the window, on a bounded sample; None without a reference or without requests."""
    numbers = [each for each in here.model.features() if each.kind == "number"]
    others = [each for each in here.model.features() if each.kind != "number"]
    features = [each.reference for each in (*numbers, *others)]
    scores = [f"score.{place}" for place in range(len(here.model.classes))] if here.model.task == "multiclass" else ["score"]
    asked = Sample("predictions", tuple(dict.fromkeys(["id", "subject", *scores, *features])), REQUESTS)
    now = load.ask_store(asked, here.window)
    reference = load.ask_store(Sample("predictions", ("id", *features), REFERENCE), here.window.reference())
    space = input_space(
        {name: reference[name].to_numpy() for name in features}, [each.reference for each in numbers], [each.reference for each in others]
    )
    if space is None or now.empty:
        return None
    columns = {name: now[name].to_numpy() for name in features}
    points = space.encode(columns)
    subjects, ids = now["subject"].to_numpy(object), list(map(str, now["id"]))
    codes = pd.util.hash_array(
        np.array([f"{subject}{cell.tobytes()!r}" for subject, cell in zip(subjects, np.floor(points / CELL))], object)
    )
    margins = score_margins(here.model, now[scores].to_numpy(np.float64))
    claims = guard_claims(space, points, subjects, ids, margins, np.unique(codes, return_inverse=True)[1])
    texts = {name: columns[name] for name in (each.reference for each in others)}
    claims += odd_texts(texts, {name: reference[name].to_numpy() for name in texts}, subjects, ids)
    named, names = int(pd.notna(now["subject"]).sum()), {each.reference: each.name for each in (*numbers, *others)}
    far = tuple((names.get(reference, reference), share) for reference, share in far_features(space, points))
    return GuardView(space, neighbour_distances(space, points), far, tuple(claims), len(now), named)


def score_margins(model: "Model", scores: "Floats") -> "Floats | None":
    """Distance of each score from the decision's boundary; None for a regression."""
    if model.task == "binary":
        return np.abs(scores[:, 0] - model.settings.threshold)
    if model.task == "multiclass" and scores.shape[1] > 1:
        ordered = np.sort(scores, axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2], np.float64)
    return None


def distance_section(view: GuardView) -> None:
    """How far requests are from the reference, against the reference's own distances."""
    far = rate_interval(float((view.distances > view.space.far).sum()), float(view.requests))
    edges = np.linspace(0, float(max(np.quantile(view.distances, 0.995), view.space.far * 1.5)), 41)
    shares = {
        name: np.histogram(np.clip(values, 0, edges[-1]), edges)[0] / len(values)
        for name, values in (("requests", view.distances), ("reference", view.space.own))
    }
    rows = pd.DataFrame({"distance": edges[:-1], **shares})
    words = (
        f"{formatting.format_share(far.value or 0.0)} of {view.requests:,} requests are far from the reference "
        f"({formatting.format_interval(far.low, far.high, 'share')}); 1 % of its own rows are."
    )
    st.markdown(formatting.escape_markdown(words))
    frame.chart_with_table(charts_audits.distance_shares(rows, view.space.far), rows, key="distances", alt=words)
    if view.far:
        parts = [f"{name} {formatting.format_share(share)}" for name, share in view.far[:MOST_FEATURES]]
        plain_caption(
            f"Distance of far requests by feature: {', '.join(parts)}. A missing number counts as {MISSING:.0f} standard deviations."
        )


def subjects_section(here: ModelPage, view: GuardView) -> None:
    """The subjects that stand out, and the block list."""
    st.header("Unusual subjects", anchor=False)
    if not view.claims:
        none = "No unusual subject." if view.named else "Log `subject` (a user pseudonym) to see who probes the model."
        st.markdown(formatting.sentence_markdown(none))
        if view.named:
            plain_caption(f"Subjects with at least {LEAST_REQUESTS} of {view.requests:,} sampled requests are compared with all others.")
        return
    rows = [
        table_row(
            subject=claim.subject,
            check=WORDS[claim.check],
            share={
                "t": formatting.format_share(claim.share.value or 0.0),
                "sub": formatting.format_interval(claim.share.low, claim.share.high, "share"),
            },
            usual=formatting.format_share(claim.usual),
            requests=f"{claim.requests:,}",
            example=links.case_link(claim.ids[0], claim.ids[0], here.model.name, here.scope) if claim.ids else None,
        )
        for claim in view.claims
    ]
    draw_table("guard", "Unusual subjects", COLUMNS, rows, compact=True)
    csv_button("block-list", block_list(view.claims), label="Block list")


def block_list(claims: tuple[GuardClaim, ...]) -> pd.DataFrame:
    """Subjects with the reasons, one row each."""
    named = [claim for claim in claims if claim.subject != "not named"]
    reasons: dict[str, list[str]] = {}
    for claim in named:
        reasons.setdefault(claim.subject, []).append(WORDS[claim.check])
    return pd.DataFrame(
        [{"subject": subject, "reasons": "; ".join(words)} for subject, words in reasons.items()], columns=["subject", "reasons"]
    )


@cached_by_state(8, copied=True)
def verdict_pairs(name: str) -> list[tuple[bool, bool]]:
    """(followed, model right) of the newest verdicts about predictions with a label: `wrong` yes overrode the model, no followed it."""
    model, pairs = load.catalog().model(name), []
    for item in load.store().verdicts(model=name)[:VERDICTS]:
        wrong = item.fields.get("wrong")
        if wrong not in ("yes", "no") or item.state == "withdrawn":
            continue
        right = _model_right(model, str(item.fields.get("prediction")))
        if right is not None:
            pairs.append((wrong == "no", right))
    return pairs


def _model_right(model: "Model", prediction: str) -> bool | None:
    """Whether the decision about a prediction is its label; None where it is not known, and for a regression."""
    try:
        row = row_from(load.store().row(model.name, prediction), model, None)
    except NotFoundError:
        return None
    return None if row.wrong is None else not row.wrong


def reliance_section(here: ModelPage) -> None:
    """Followed or overrode, by whether the model was right."""
    st.header("Reliance", anchor=False)
    pairs = verdict_pairs(here.model.name)
    if not pairs:
        st.markdown("No verdict about a labelled prediction yet: conclude cases to see whether people follow the model when it is right.")
        return
    found = reliance_of(pairs)
    rows = [
        table_row(person="Followed", right=f"{found.followed_right:,}", wrong=f"{found.followed_wrong:,}"),
        table_row(person="Overrode", right=f"{found.overrode_right:,}", wrong=f"{found.overrode_wrong:,}"),
    ]
    draw_table("reliance", "Reliance of people on the model", RELIANCE, rows, compact=True)
    parts = [("wrong predictions followed", found.over_reliance), ("correct predictions overridden", found.under_reliance)]
    words = [
        f"{name}: {formatting.format_share(part.value)} ({formatting.format_interval(part.low, part.high, 'share')}, n {part.n:.0f})"
        for name, part in parts
        if part.value is not None
    ]
    plain_caption(
        "; ".join(words) + ". Verdicts were often written after the label was known, so they overstate how often people are right."
    )
