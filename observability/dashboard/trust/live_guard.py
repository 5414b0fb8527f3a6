"""The live guard page: how far requests are from the reference, unusual subjects with a block list, and whether people follow the model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.trust import live_guard as judged
from observability.core import formatting
from observability.core.analyzer import NO_VERSION, Context
from observability.core.errors import NotFoundError
from observability.core.finding import Finding
from observability.core.questions import Sample
from observability.dashboard import frame, links, load
from observability.dashboard.cells import UNKNOWN_CELL, severity_cell
from observability.dashboard.charts import audits as charts_audits
from observability.dashboard.frame import ModelPage
from observability.dashboard.state_cache import cached_by_state
from observability.dashboard.table import column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, finding_lines, leading_finding_line, plain_caption, plain_paragraph
from observability.detection.live_guard import MIN_REQUESTS, MISSING, GuardedRequests, guard_columns, guarded_requests, reference_columns
from observability.investigation.logged_prediction import row_from
from observability.metrics.reliance import ACTION, Reliance, acted_pairs, all_simulated, reliance_of

if TYPE_CHECKING:
    from observability.core.catalog import Model

VERDICTS = 200
WORDS = {
    "extraction": "covers the input space",
    "unfamiliar": "far from the reference",
    "boundary": "searches the boundary",
    "oversized": "oversized text",
    "prompt": "prompt-like text",
    "burst": "near-identical requests",
}
COLUMNS = columns_on_phone(
    "severity subject check",
    column("severity", "Status"),
    column("subject", "Subject", strong=True),
    column("check", "What stands out"),
    column("share", "Share", align="right"),
    column("usual", "Usual", align="right"),
    *number_columns(requests="Requests"),
    column("example", "Example"),
)
RELIANCE = (column("person", "Person", strong=True), *number_columns(right="Model right", wrong="Model wrong"))


def guard_view(here: ModelPage) -> GuardedRequests | None:
    """The guard's analysis of the requests in the window, on a sample of limited size; None without a reference or without requests."""
    model = judged.of_guarded_features(Context(here.model, NO_VERSION, here.window, here.window.end)).model
    now = load.ask_store(Sample("predictions", guard_columns(model), judged.REQUESTS), here.window)
    reference = load.ask_store(Sample("predictions", reference_columns(model), judged.REFERENCE), here.window.reference())
    return guarded_requests(now, reference, model)


def request_bursts(found: Sequence[Finding]) -> list[Finding]:
    """The findings of data/requests about subjects that send near-identical requests, with the same evidence fields as the claims of the
    guard.
    """
    return [
        replace(
            finding, evidence={"baseline": None, **finding.evidence, "check": "burst", "subjects": [name], "blocked": [name], "ids": []}
        )
        for finding in found
        if finding.metric == "near_duplicate_share" and (name := finding.subject.removeprefix("subject=")) != finding.subject
    ]


def distance_section(view: GuardedRequests, found: Sequence[Finding]) -> None:
    """Draw how far requests are from the reference, compared with the distances between rows of the reference. found: the findings about
    all requests.
    """
    told = [finding for finding in found if (finding.subject, finding.metric) == ("model", judged.FAR_RATE)]
    finding_lines(told)
    edges = np.linspace(0, float(max(np.quantile(view.distances, 0.995), view.space.far * 1.5)), 41)
    shares = {
        name: np.histogram(np.clip(values, 0, edges[-1]), edges)[0] / len(values)
        for name, values in (("requests", view.distances), ("reference", view.space.own))
    }
    rows = pd.DataFrame({"distance": edges[:-1], **shares})
    words = f"Distances of {len(view.distances):,} requests and of rows of the reference to the reference."
    frame.chart_with_table(charts_audits.distance_shares(rows, view.space.far), rows, key="distances", alt=words)
    plain_caption(f"Distances are in standard deviations. A missing number counts as {MISSING:.0f}.")
    if words := far_sender_words(told):
        plain_caption(words)


def far_sender_words(found: Sequence[Finding]) -> str:
    """A sentence that names the subjects that sent the most requests far from the reference, with the number of such requests and of all
    their requests; empty if the findings name none.
    """
    senders = [each for finding in found for each in finding.evidence.get("senders", ())]
    words = [f"{each['subject']} ({each['far']:,} of {each['n']:,})" for each in senders]
    return (
        f"Subjects that sent the most requests far from the reference (of their requests in the sample): {formatting.join_words(words)}."
        if words
        else ""
    )


def texts_section(found: Sequence[Finding]) -> None:
    """Draw the sentence about texts, if texts are usual or if there are too few. Unusual texts are in the list of unusual subjects
    instead.
    """
    finding_lines(finding for finding in found if finding.metric == "prompt_text_share" and "check" not in finding.evidence)


def subjects_section(here: ModelPage, view: GuardedRequests | None, found: Sequence[Finding]) -> None:
    """Draw the unusual subjects and the block list. found: the findings of the analyzer and of `request_bursts`. view: None without a
    reference; then only texts and bursts could be analyzed.
    """
    claims = [finding for finding in found if "check" in finding.evidence]
    if view is None and not claims:
        return
    st.header("Unusual subjects", anchor=False)
    if view is not None and not claims:
        none = "No unusual subject." if view.named else "Log `subject` (a user pseudonym) to see who copies or probes the model."
        st.markdown(formatting.sentence_markdown(none))
        if view.named:
            plain_caption(compared_words(view))
        return
    leading_finding_line(claims)
    if here.model.classes and all_simulated(load.ask_store(judged.ACTIONS, here.window)["extra"], "subject"):
        plain_paragraph("These subjects are simulated.")
    draw_table("guard", "Unusual subjects", COLUMNS, [_claim_row(here, finding) for finding in claims], compact=True)
    listed = block_list(claims)
    csv_button("block-list", listed, label="Block list")
    if left := len(named_subjects(claims) - set(listed["subject"])):
        plain_caption(
            f"Not on the block list: {formatting.plural(left, 'subject')} named above that no comparison shows to differ from others."
        )
    if view is not None and view.lone is not None:
        plain_caption(compared_words(view))
    elif view is not None:
        plain_caption(
            f"{formatting.plural(usual_subjects(view, claims), 'other subject')} of {MIN_REQUESTS} requests or more: nothing unusual."
        )


def compared_words(view: GuardedRequests) -> str:
    """A sentence on which subjects are compared, and with what."""
    if view.lone is None:
        return f"Subjects with at least {MIN_REQUESTS} of {len(view.distances):,} sampled requests are compared with all others."
    compared = "coverage and margins are" if view.margins_known else "coverage is"
    return f"{view.lone} sends nearly all requests. Its {compared} compared with the reference, its far requests with nobody's."


def usual_subjects(view: GuardedRequests, claims: Sequence[Finding]) -> int:
    """The number of subjects that have enough requests and are named in no finding."""
    return len(view.judged - named_subjects(claims))


def named_subjects(claims: Sequence[Finding]) -> set[str]:
    """All subjects that are named in findings, whether or not they are unusual themselves."""
    return {subject for finding in claims for subject in finding.evidence["subjects"]}


def _claim_row(here: ModelPage, finding: Finding) -> dict[str, object]:
    """The table row of a finding: the subjects and their unusual behaviour."""
    ids = finding.evidence["ids"]
    return table_row(
        severity=severity_cell(finding.shown_severity),
        subject=formatting.join_words(finding.evidence["subjects"], judged.MAX_NAMED) or "not named",
        check=WORDS[finding.evidence["check"]],
        share={
            "t": formatting.format_share(finding.value or 0.0),
            "sub": formatting.format_interval(finding.low, finding.high, "share"),
        },
        usual=dict(UNKNOWN_CELL) if (usual := finding.evidence["baseline"]) is None else formatting.format_share(usual),
        requests=f"{finding.n:,}",
        example=links.case_link(ids[0], ids[0], here.model.name, here.scope) if ids else None,
    )


def block_list(claims: Sequence[Finding]) -> pd.DataFrame:
    """The block list: one row for each subject that is unusual itself, with the reasons."""
    reasons: dict[str, list[str]] = {}
    for finding in claims:
        for subject in finding.evidence.get("blocked", finding.evidence["subjects"]):
            reasons.setdefault(subject, []).append(WORDS[finding.evidence["check"]])
    return pd.DataFrame(
        [{"subject": subject, "reasons": "; ".join(dict.fromkeys(words))} for subject, words in reasons.items()],
        columns=["subject", "reasons"],
    )


@cached_by_state(8, copied=True)
def verdict_pairs(name: str) -> list[tuple[bool, bool]]:
    """Pairs (followed, model right) from the newest verdicts about labelled predictions. If a verdict's `wrong` is yes, the person overrode
    the model; if it is no, the person followed it.
    """
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
    """Whether the decision about a prediction equals its label; None if this is not known, or for a regression."""
    try:
        row = row_from(load.store().row(model.name, prediction), model, None)
    except NotFoundError:
        return None
    return None if row.wrong is None else not row.wrong


def reliance_section(here: ModelPage, found: Sequence[Finding]) -> None:
    """Draw how often people followed or overrode the model when it was right and when it was wrong: from logged actions, with the findings
    about them, and from verdicts.
    """
    st.header("Reliance", anchor=False)
    told = [finding for finding in found if finding.metric in ("over_reliance", "under_reliance")]
    finding_lines(told)
    rows = load.ask_store(judged.ACTIONS, here.window)
    actions = acted_pairs(rows, here.model)
    verdicts = verdict_pairs(here.model.name)
    if not actions and not verdicts:
        st.markdown(
            "No action or verdict about a labelled prediction yet: log `action` (what was done) with predictions, or conclude cases."
        )
        return
    if actions:
        if all_simulated(rows["extra"], ACTION):
            plain_paragraph("These actions are simulated.")
        _reliance_table("actions", "Reliance by logged actions", reliance_of(actions), shares=not told)
    if verdicts:
        _reliance_table("reliance", "Reliance by verdicts", reliance_of(verdicts))
        plain_caption("Verdicts were often written after the label was known, so they overstate how often people are right.")


def _reliance_table(key: str, caption: str, found: Reliance, *, shares: bool = True) -> None:
    """Draw the matrix of followed and overridden predictions. shares: whether to draw the two shares below the matrix; not needed if
    findings already state them.
    """
    rows = [
        table_row(person="Followed", right=f"{found.followed_right:,}", wrong=f"{found.followed_wrong:,}"),
        table_row(person="Overrode", right=f"{found.overrode_right:,}", wrong=f"{found.overrode_wrong:,}"),
    ]
    draw_table(key, caption, RELIANCE, rows, compact=True)
    parts = [("wrong predictions followed", found.over_reliance), ("correct predictions overridden", found.under_reliance)]
    words = [
        f"{name}: {formatting.format_share(part.value)} ({formatting.format_interval(part.low, part.high, 'share')}, n {part.n:.0f})"
        for name, part in parts
        if part.value is not None
    ]
    if shares:
        plain_caption(f"{caption}: {'; '.join(words)}.")
