"""The augmentation part of the page Studies: whether each augmentation helps, which groups it harms, its affinity and diversity."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from observability.analyzers.training import studies as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.window import EPOCH, Window
from observability.dashboard import frame, load, load_findings
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns, severity_cell, share_cell
from observability.dashboard.charts import augmentation as charts_augmentation
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.training import augmentation_decisions
from observability.dashboard.widgets import leading_finding_line, logging_examples, plain_caption, plain_paragraph
from observability.detection.augmentation_verdict import AugmentationVerdict, augmentation_verdict
from observability.metrics.augmentation import AUGMENTATION_AUDITS, ERROR, AugmentationAudit, augmentation_audits
from observability.stats.interval import Interval

HOW = {
    "Augmentation": """# predictions.parquet: a line for each validation row and seed, with the columns
# row, seed, label, without, with, copy, loss_without, loss_with, and groups such as region
python -m observability audit-augmentation predictions.parquet --model loan --name jitter --group region"""
}
WORDS = {"helps": "helps", "harms": "harms", "none": "no effect", "small": "small", "unknown": "cannot tell"}
"""For each effect that the analyzer names, the words on the page."""
COLUMNS = (
    column("name", "Augmentation", strong=True, wide=True),
    column("effect", "Effect", width="7rem", phone=False),
    column("verdict", "Verdict", width="10rem", help="Drop what harms; keep what helps and harms no class or group; hold: measure more"),
    column(
        "gain",
        "Gain",
        align="right",
        help="Accuracy with the augmentation minus accuracy without it, in points; for regression, the fall of the mean absolute error, %",
    ),
    column(
        "affinity",
        "Affinity",
        align="right",
        phone=False,
        help="Trained without augmentation: accuracy on augmented copies ÷ accuracy on the rows; for regression, error on rows ÷ on copies",
    ),
    column("diversity", "Diversity", align="right", phone=False, help="Final training loss with the augmentation over that without"),
    column(
        "labels",
        "Labels changed",
        align="right",
        phone=False,
        help="Share of checked copies whose label changed; without checks, of copies that every seed assigns to one other class",
    ),
)


def known_augmentations(scope: Scope) -> list[AugmentationAudit]:
    """The newest audit of each augmentation of the scope's model, or of all models if none is chosen."""
    rows = load.ask_store(AUGMENTATION_AUDITS, Window("", EPOCH, load.page_clock()))
    return [each for each in augmentation_audits(rows) if scope.model in (None, each.model)]


def augmentation_section(audits: Sequence[AugmentationAudit], scope: Scope) -> None:
    """Draw the effect of each augmentation, and the effect of one chosen augmentation by class and group."""
    st.header("Augmentation", anchor=False)
    if not audits:
        plain_caption("No augmentation of training data has been measured.")
        logging_examples(HOW)
        return
    found = load_findings.scope_record_findings(scope, judged.NAME)
    plain_paragraph(augmentation_summary(audits, found))
    leading_finding_line(found)
    points = augmentation_points(audits, found)
    if len(points) > 1:
        alt = f"Affinity and diversity of {len(points)} augmentations."
        figure = charts_augmentation.affinity_scatter(points)
        twin = points.drop(columns="text")
        frame.chart_with_table(figure, twin, key="affinity", alt=alt, metrics=(judged.AFFINITY, judged.DIVERSITY))
    augmentations_table(audits, found)
    augmentation_decisions.decisions_about_augmentations(audits, [verdict_on(each, found) for each in audits])
    slices_of_augmentation(audits)


def effect_of(audit: AugmentationAudit, found: Sequence[Finding]) -> str:
    """The effect of an augmentation on accuracy according to the analyzer, in words."""
    own = (each for each in found if (each.metric, each.evidence.get("augmentation")) == (judged.GAIN, audit.name))
    finding = next((each for each in own if (each.model, each.version) == (audit.model, audit.version)), None)
    return WORDS[str(finding.evidence.get("effect", "unknown")) if finding else "unknown"]


def verdict_on(audit: AugmentationAudit, found: Sequence[Finding]) -> AugmentationVerdict | None:
    """The verdict on an augmentation, derived from the findings about it; None if too few seeds ran."""
    return augmentation_verdict(
        [
            each
            for each in found
            if (each.model, each.version, each.evidence.get("augmentation")) == (audit.model, audit.version, audit.name)
        ]
    )


def verdict_cell(audit: AugmentationAudit, told: AugmentationVerdict | None) -> Cell:
    """A cell with the verdict, and the reason below it. It shows a severity only if the augmentation is in use."""
    if told is None:
        return dict(UNKNOWN_CELL)
    word = told.verdict.capitalize()
    severity = {"keep": "ok", "drop": "watch"}.get(told.verdict) if audit.in_use else None
    cell: Cell = severity_cell(severity, word) if severity else {"t": word}
    return {**cell, "sub": told.reason.capitalize()}


def augmentation_summary(audits: Sequence[AugmentationAudit], found: Sequence[Finding]) -> str:
    """A sentence that states how many augmentations help and how many harm."""
    words = [effect_of(audit, found) for audit in audits]
    parts = [f"{words.count(word)} {said}" for word, said in (("helps", "with a gain"), ("harms", "with a loss")) if word in words]
    told = ", ".join(parts) or f"none with a gain or loss of {100 * judged.EFFECT:g} point or more"
    return f"{formatting.plural(len(audits), 'augmentation')} measured: {told}."


def augmentation_name(audit: AugmentationAudit) -> str:
    """The text that identifies an augmentation in the address: model, version and name."""
    return f"{audit.model} {audit.version} {audit.name}"


def augmentation_points(audits: Sequence[AugmentationAudit], found: Sequence[Finding]) -> pd.DataFrame:
    """The data of the chart: the augmentations whose affinity and diversity are known."""
    rows = []
    for audit in audits:
        affinity, diversity = audit.affinity, audit.diversity
        if affinity is None or diversity is None or affinity.value is None or diversity.value is None:
            continue
        effect = effect_of(audit, found)
        text = f"{audit.name}, {audit.model}<br>affinity {affinity.value:.3f}<br>diversity {diversity.value:.3f}<br>{effect}"
        row: dict[str, object] = {"name": audit.name, "model": audit.model, "effect": effect}
        for key, interval in (("affinity", affinity), ("diversity", diversity)):
            row |= {key: interval.value, f"{key}_low": interval.low, f"{key}_high": interval.high}
        rows.append(row | {"text": text})
    return pd.DataFrame(rows)


def augmentations_table(audits: Sequence[AugmentationAudit], found: Sequence[Finding]) -> None:
    """Draw a row for each augmentation."""
    lines = []
    for audit in audits:
        effect, copies = effect_of(audit, found), audit.checked or audit.consensus
        used = "in use" if audit.in_use else "tried"
        severity = "watch" if effect == "harms" else "ok" if effect == "helps" else None
        cells: dict[str, Cell] = {
            "name": {"t": audit.name, "sub": f"{audit.model} {audit.version}, {used}"},
            "effect": severity_cell(severity, effect.capitalize()) if severity else {"t": effect.capitalize()},
            "verdict": verdict_cell(audit, verdict_on(audit, found)),
            "gain": gain_cell(audit),
            "affinity": ratio_cell(audit.affinity),
            "diversity": ratio_cell(audit.diversity),
            "labels": share_cell(*copies.rate.triple) if copies else dict(UNKNOWN_CELL),
        }
        lines.append(table_row(cells))
    columns = filled_columns(COLUMNS, lines, ("name", "effect"))
    draw_table("augmentations", "Augmentations and their effects", columns, lines, sort=True)


def gain_cell(audit: AugmentationAudit) -> Cell:
    """A cell with the gain, and its interval below it. A gain of accuracy is in points; a gain of error is in per cent of the error."""
    change = audit.whole.change
    if change is None:
        return dict(UNKNOWN_CELL)
    interval, unit = change.interval(), " %" if audit.of == ERROR else ""
    value, low, high = (judged.signed_points(part) for part in interval.triple)
    return {"t": f"{value}{unit}", "sub": f"{low} to {high}", "k": interval.value}


def ratio_cell(interval: Interval | None) -> Cell:
    """A ratio with its interval below."""
    if interval is None or interval.value is None:
        return dict(UNKNOWN_CELL)
    ends = None if interval.low is None or interval.high is None else f"{interval.low:.3f} to {interval.high:.3f}"
    return {"t": f"{interval.value:.3f}", "sub": ends, "k": interval.value}


def slices_of_augmentation(audits: Sequence[AugmentationAudit]) -> None:
    """Draw the gain of an augmentation by class and group, smallest gain first."""
    names = {augmentation_name(audit): audit for audit in audits if audit.slices and audit.seeds > 1}
    if not names:
        return
    missing = "The link names the augmentation {}, which was not measured."
    first = next(iter(names))
    name = address_selectbox("augmentation", "Augmentation by class and group", list(names), placeholder=first, missing=missing, width=420)
    audit = names[name or first]
    rows = slice_changes(audit)
    worst = rows.iloc[0]
    unit = judged.GAIN_UNITS[audit.of].units
    alt = f"{audit.name}: the least gain is in {worst['name']}, {judged.signed_points(worst['value'])} {unit}."
    title = "fall of the mean absolute error, %" if audit.of == ERROR else "change of accuracy, points"
    frame.chart_with_table(
        charts_augmentation.slice_change_dots(rows, title=title, unit=unit),
        rows,
        key="augmentation-slices",
        alt=alt,
        metrics=(judged.SLICE_GAIN,),
    )
    plain_caption(f"{title.partition(',')[0].capitalize()} with the augmentation, with 95 % intervals over seeds and rows.")


def slice_changes(audit: AugmentationAudit) -> pd.DataFrame:
    """The gain of each class and group, the smallest gain first."""
    rows = []
    for part in audit.slices:
        change = part.change
        if change is not None:
            ends = change.interval()
            rows.append({"name": f"{part.column} {part.level}", "value": ends.value, "low": ends.low, "high": ends.high, "n": part.n})
    return pd.DataFrame(rows).sort_values("value", kind="stable", ignore_index=True)
