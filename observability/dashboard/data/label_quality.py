"""The page of label quality: agreement, the quality of annotators by several models, consensus, cost, suspect labels, and replayed
policies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, frame, links, load
from observability.dashboard.cells import share_cell
from observability.dashboard.charts import crowd as charts_crowd
from observability.dashboard.data.records_summary import dates_note
from observability.dashboard.scope import Scope
from observability.dashboard.state_cache import cached_by_state
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, csv_of_table, plain_caption, plain_paragraph
from observability.investigation import item_neighbours, logged_content, project_items
from observability.metrics import crowd_quality, labelling_work
from observability.metrics.annotations import FIELDS
from observability.metrics.crowd_quality import Agreement, Crowd, LabellingCost
from observability.metrics.labelling_work import LOAD_STEP, MIN_KNOWN, NextLabels, PolicyReplay, SkillReplay
from observability.metrics.prices import PRICES
from observability.stats.agreement import RELIABLE, TENTATIVE

MAX_RECORDS, MAX_SHOWN, MAX_CHARACTERS = 250_000, 20, 160
MIN_ITEMS = 30
"""Minimum number of items with labels of two annotators, from which annotators and consensus are modelled."""
PEOPLE_COLUMNS = (
    column("annotator", "Annotator", strong=True),
    column("labels", "Labels", align="right", phone=False),
    column("accuracy", "Accuracy", align="right", help="Accuracy by Dawid and Skene's model of all labels; needs no known answers"),
    column("crowdlab", "CROWDLAB", align="right", help="Quality with the model's suggestions; its scale is biased, so compare ranks"),
    column("rank", "Rank", align="right", help="Rank by CROWDLAB, without suggestions by accuracy; below it, the 95 % range"),
)
SUSPECT_COLUMNS = columns_on_phone(
    "item label likely quality",
    column("item", "Item", strong=True),
    column("label", "Label in use"),
    column("likely", "Likelier"),
    column(
        "quality", "Probability", align="right", help="Probability that the label in use is correct; below it, that of the likelier label"
    ),
    *number_columns(labels="Labels"),
    column("case", "Neighbours"),
    column("again", "Label it"),
)
NEIGHBOUR_COLUMNS = (
    column("item", "Item", strong=True),
    column("label", "Label"),
    column("similarity", "Similarity", align="right", help="Mean over fields: words of texts, distance of numbers, equal levels (Gower)"),
    column("content", "Content", wide=True),
)
FACTS = (column("what", "Figure", strong=True), *number_columns(figure="Value"), column("of", "Of", phone=False))


@dataclass(frozen=True)
class QualityOfLabels:
    """All data that the page shows about one project. cost: None if no price is known. policies, skill: None if there are too few known
    answers.
    """

    crowd: Crowd
    agreement: Agreement
    answers: pd.DataFrame
    people: pd.DataFrame
    cost: LabellingCost | None
    coming: NextLabels
    suspects: pd.DataFrame
    policies: PolicyReplay | None
    skill: SkillReplay | None


@cached_by_state(8)
def quality_of_labels(project: str, model_name: str | None, window: Window) -> QualityOfLabels | None:
    """Return the quality of a project's labels in a window; None if there are no labels of two classes."""
    model = load.catalog().model(model_name) if model_name else None
    rows = load.ask_store(Records("annotation", FIELDS, rows=MAX_RECORDS, only=(("project", project),)), window)
    answers = crowd_quality.newest_answers(rows)
    names = tuple(dict.fromkeys((*(model.classes if model else ()), *sorted(set(answers["label"])))))
    crowd = crowd_quality.crowd_of(answers, names, crowd_quality.suggested_probabilities(answers, names))
    if crowd is None:
        return None
    known = answers[answers["gold"].notna()]
    truth = dict(zip(known["item"].astype(str), known["gold"].map(str), strict=True))
    price = _label_price(model_name, window)
    return QualityOfLabels(
        crowd,
        crowd_quality.project_agreement(crowd),
        answers,
        crowd_quality.annotator_quality(crowd),
        crowd_quality.labelling_cost(crowd, answers, *price) if price else None,
        labelling_work.next_labels_value(crowd),
        crowd_quality.suspect_labels(crowd, _labels_in_use(model, crowd)),
        labelling_work.replay_policies(crowd, answers, truth),
        labelling_work.replay_assignment(answers, truth, names),
    )


def _label_price(model: str | None, window: Window) -> tuple[float, str] | None:
    """Return the newest price of a label at the end of the window; a price of the model itself is preferred to one for all models. None if
    there is no price.
    """
    prices = load.ask_store(PRICES, Window("", EPOCH, window.end))
    rows = prices[(prices["resource"] == "label") & (prices["model"].isna() | (prices["model"] == model))]
    rows = rows.assign(own=rows["model"].notna()).sort_values(["own", "from"], kind="stable")
    return (float(rows["amount"].iloc[-1]), str(rows["currency"].iloc[-1])) if len(rows) else None


def _labels_in_use(model: Model | None, crowd: Crowd) -> dict[str, str]:
    """The newest label of each item that is a prediction of the model."""
    if model is None:
        return {}
    rows = load.ask_store(Records("label", ("id", "at", "value"), ever=True), Window(model.name, EPOCH, load.page_clock()))
    rows = rows[rows["id"].isin(crowd.place.keys())].sort_values("at", kind="stable")
    return dict(zip(rows["id"], rows["value"].map(str), strict=True))


def labels_summary(shown: QualityOfLabels, window: Window) -> bool:
    """Draw the numbers of labels, items and annotators. Return whether there are enough labels to model annotators; if not, draw how many
    more items are needed.
    """
    votes = shown.crowd.votes
    counts = f"{formatting.plural(len(votes.item), 'label')}** of {formatting.plural(votes.items, 'item')}"
    st.markdown(f"**{counts} by {formatting.plural(votes.annotators, 'annotator')}{dates_note(window, ' in ')}.")
    several = int((votes.by_item > 1).sum())
    if several >= MIN_ITEMS:
        return True
    plain_paragraph(
        f"Quality is not yet known: {formatting.plural(several, 'item was', 'items were')} labelled by two annotators or more, about "
        f"{MIN_ITEMS - several} more are needed."
    )
    return False


def agreement_section(shown: QualityOfLabels) -> None:
    """Draw Krippendorff's alpha and the kappas, and the agreement over time, by guideline and by class."""
    st.header("Agreement", anchor=False)
    found = shown.agreement
    if found.alpha.value is None:
        plain_paragraph("Agreement is unknown: no item has two labels, or all labels are equal.")
        return
    word = (
        "reliable"
        if found.alpha.value >= RELIABLE
        else "tentatively reliable"
        if found.alpha.value >= TENTATIVE
        else "not reliable individually"
    )
    plain_paragraph(
        f"Krippendorff's alpha {formatting.value_with_interval(*found.alpha.triple)} on {found.alpha.n:,.0f} items with two labels or "
        f"more: labels are {word} (reliable from {RELIABLE:g}, tentatively from {TENTATIVE:g})."
    )
    lines = []
    if found.fleiss is not None:
        of = f"{found.fleiss_items:,} items with {found.fleiss_labels} labels, the most frequent number; others are left out"
        lines.append(table_row(what="Fleiss' kappa", figure=formatting.format_number(found.fleiss), of=of))
    if found.cohen is not None:
        of = f"mean of {formatting.plural(found.pairs, 'pair')} with {crowd_quality.MIN_SHARED} common items or more"
        lines.append(table_row(what="Cohen's kappa", figure=formatting.format_number(found.cohen), of=of))
    for each in crowd_quality.class_agreement(shown.crowd).to_dict("records"):
        if each["n"]:
            of = f"the other labels on items that have this label ({formatting.plural(each['n'], 'label')})"
            lines.append(table_row(what=f"Same label: {each['class']}", figure=formatting.format_share(each["share"]), of=of))
    draw_table("agreement", "Agreement by other measures and by class", FACTS, lines, compact=True)
    weeks = crowd_quality.agreement_over(shown.answers, "week")
    if len(weeks) > 1:
        first, last = weeks.iloc[0], weeks.iloc[-1]
        alt = f"Alpha {formatting.format_number(first['value'])} in the first week, {formatting.format_number(last['value'])} in the last."
        figure, columns = charts_crowd.agreement_by_week(weeks), {"week": "Week from", "value": "Alpha", "n": "Items"}
        frame.chart_with_table(figure, weeks, key="alpha", alt=alt, metrics=("label_agreement",), columns=columns)
    guidelines = crowd_quality.agreement_over(shown.answers, "guideline")
    if len(guidelines) > 1:
        texts = [
            f"{each['guideline']}: {formatting.value_with_interval(each['value'], each['low'], each['high'])}"
            for each in guidelines.to_dict("records")
        ]
        plain_paragraph(f"Alpha by guideline: {'; '.join(texts)}.")


def people_section(shown: QualityOfLabels, scope: Scope, project: str) -> None:
    """Draw the quality of annotators by Dawid and Skene's model and by CROWDLAB, and the confusion of one annotator or of all."""
    st.header("Annotators", anchor=False)
    rows = shown.people.sort_values(["rank", "accuracy"], ascending=[False, True], na_position="last", kind="stable")
    lines = []
    for each in rows.to_dict("records"):
        known = each["rank"] == each["rank"]
        rank: Cell = (
            {"t": f"{each['rank']:.0f}", "sub": f"{each['rank_low']:.0f} to {each['rank_high']:.0f}"} if known else {"t": formatting.DASH}
        )
        lines.append(
            table_row(
                annotator=links.link_cell(each["annotator"], "label_quality", scope, project=project, annotator=each["annotator"]),
                labels=f"{each['labels']:,}",
                accuracy=share_cell(each["accuracy"], each["accuracy_low"], each["accuracy_high"])
                if each["labels"] >= MIN_KNOWN
                else _needs_more(each["labels"]),
                crowdlab=share_cell(each["crowdlab"]),
                rank=rank,
            )
        )
    draw_table("crowd", "Annotators, the last rank first", PEOPLE_COLUMNS, lines[:100])
    csv_of_table("crowd", rows, len(rows), 100, "last")
    if shown.crowd.ranked is None:
        plain_caption("CROWDLAB needs suggestions with a confidence, and items with two labels.")
    missing = "The link names the annotator {}, who has no labels in these dates."
    who = choice_box.address_selectbox("annotator", "Confusion of", list(shown.crowd.people), placeholder="All", missing=missing, width=320)
    table = crowd_quality.annotator_confusion(shown.crowd, who)
    worst = table[table["true"] != table["label"]].sort_values("share", ascending=False, kind="stable").iloc[0]
    whose = who or "All annotators together"
    alt = f"{whose}: most often {worst['true']} is labelled {worst['label']} ({formatting.format_share(worst['share'])})."
    plain_paragraph(alt)
    columns = {"true": "Likely true class", "label": "Label", "n": "Expected labels", "share": "Share"}
    frame.chart_with_table(charts_crowd.confusion_squares(table), table, key="confusion", alt=alt, columns=columns)


def _needs_more(labels: int) -> Cell:
    """The cell of an annotator with too few labels."""
    return {"t": formatting.DASH, "sub": f"needs about {MIN_KNOWN - labels} more labels"}


def consensus_section(shown: QualityOfLabels) -> None:
    """Draw the number of settled labels, their cost, and the expected gain of further labels."""
    st.header("Consensus and cost", anchor=False)
    table = crowd_quality.consensus_labels(shown.crowd)
    settled, n, coming = int(table["settled"].sum()), len(table), shown.coming
    plain_paragraph(
        f"{settled:,} of {n:,} items are settled ({crowd_quality.SETTLING_RULE}). Dawid and Skene's model estimates that about "
        f"{coming.wrong:,.0f} of the {n:,} consensus labels are wrong. The next {coming.n:,} labels would correct about "
        f"{coming.scored:.1f} of these if given to the items where they help most, about {coming.random:.1f} in random order."
    )
    cost = shown.cost
    if cost is None:
        plain_caption("What a label costs is unknown: log a `price` of the resource `label`.")
    else:
        money = cost.currency
        facts = [("All labels", cost.total, f"{cost.labels:,} labels at {money} {cost.price:g}")]
        facts += [("For each settled item", cost.per_settled, f"{cost.settled:,} settled items")] if cost.per_settled is not None else []
        if cost.per_corrected is not None:
            of = f"{cost.corrected:,} first labels that later labels corrected; {cost.extra:,} later labels of settled items"
            facts.append(("For each corrected label", cost.per_corrected, of))
        if coming.scored > 0:
            of = f"the next {coming.n:,} labels, given where they help most (estimated)"
            facts.append(("For each label corrected next", cost.price * coming.n / coming.scored, of))
        lines = [table_row(what=what, figure=f"{money} {value:,.2f}", of=of) for what, value, of in facts]
        draw_table("cost", "What labels cost", FACTS, lines, compact=True)
    csv_button("consensus", table, has_groups=False)


def suspects_section(shown: QualityOfLabels, scope: Scope, project: str, model: Model | None) -> None:
    """Draw the labels in use that the annotators' labels contradict, with links to similar items and to relabelling."""
    st.header("Suspect labels", anchor=False)
    rows = shown.suspects
    if rows.empty:
        plain_paragraph("No label in use is contradicted by the annotators.")
        return
    plain_paragraph(
        f"{formatting.plural(len(rows), 'label')} in use, of {shown.crowd.votes.items:,} items, "
        f"{'is' if len(rows) == 1 else 'are'} less likely than another label, given all labels of the item. Least likely first."
    )
    lines, contents = [], landed_contents(project)
    for each in rows.head(MAX_SHOWN).to_dict("records"):
        case = links.case_link("Neighbours", each["item"], model.name, scope, section="label") if model else None
        if each["item"] in contents:
            case = links.link_cell("Neighbours", "label_quality", scope, project=project, item=each["item"])
        lines.append(
            table_row(
                item=each["item"],
                label=each["label"],
                likely=each["likely"],
                quality={
                    "t": formatting.format_share(each["quality"]),
                    "sub": f"likelier: {formatting.format_share(each['likely_quality'])}",
                },
                labels=f"{each['labels']:,}",
                case=case,
                again=links.link_cell("Annotate", "annotate", scope, project=project, item=each["item"]),
            )
        )
    draw_table("suspects", "Suspect labels, the least likely first", SUSPECT_COLUMNS, lines, compact=True)
    csv_of_table("suspects", rows, len(rows), MAX_SHOWN, "least likely")


@cached_by_state(2, computed=False)
def landed_contents(project: str) -> dict[str, Mapping[str, Any]]:
    """Return the content of each item of a project that was stored without a prediction. Callers must not change it."""
    return {name: each.content for name, each in project_items.stored_items(load.store(), project).items()}


def neighbours_section(shown: QualityOfLabels, scope: Scope, project: str) -> None:
    """Draw the stored items that are most similar to one of them, with their labels; nothing for a project without stored items."""
    contents = landed_contents(project)
    if not contents:
        return
    st.header("Neighbours of an item", anchor=False)
    suspects = [name for name in shown.suspects["item"] if name in contents]
    names = [*suspects, *(name for name in shown.crowd.items if name in contents and name not in set(suspects))]
    missing = "The link names the item {}, which has no label in these dates or was not landed."
    placeholder = "The most suspect item" if suspects else "The first item"
    item = choice_box.address_selectbox("item", "Item", names, placeholder=placeholder, missing=missing, width=420) or next(
        iter(names), None
    )
    if item is None:
        plain_paragraph("No landed item has a label in these dates.")
        return
    labels = crowd_quality.consensus_labels(shown.crowd).set_index("item")["consensus"]
    found = item_neighbours.nearest_items(contents, item)
    if not found:
        plain_paragraph(f"No other item has content in common with {item}.")
        return
    same = sum(labels.get(each.item) == labels[item] for each in found)
    known = sum(each.item in labels.index for each in found)
    plain_paragraph(f"{item} is labelled {labels[item]}; so are {same} of its {formatting.plural(known, 'nearest labelled item')}.")
    lines = [
        table_row(
            item=links.link_cell(name, "label_quality", scope, project=project, item=name),
            label=str(labels.get(name, "not labelled")),
            similarity=formatting.format_share(similarity),
            content=item_excerpt(contents[name]),
        )
        for name, similarity in [(item, 1.0), *((each.item, each.similarity) for each in found)]
    ]
    draw_table("neighbours", f"{item} and the items that are most like it", NEIGHBOUR_COLUMNS, lines, compact=True)


def item_excerpt(content: Mapping[str, Any]) -> str:
    """The beginning of the fields of an item in one line, texts first."""
    texts = {each.name for each in logged_content.texts_of_fields(content)}
    parts = [f"{name}: {content[name]}" for name in sorted(content, key=lambda name: name not in texts) if content[name] is not None]
    return formatting.escape_direction_marks(formatting.truncate("; ".join(parts), MAX_CHARACTERS))


def replay_section(shown: QualityOfLabels) -> None:
    """Draw the estimated gain of several orders of the queue, and of assignment by skill, compared with random choice."""
    st.header("Policies replayed", anchor=False)
    found = shown.policies
    if found is None:
        plain_paragraph(
            f"Policies cannot be replayed yet: that needs {labelling_work.MIN_REPLAYED} items with a known answer and at least two labels."
        )
    else:
        fixed = ", ".join(f"{name} {value:.1f}" for name, value in found.fixed.items())
        alt = (
            f"{found.wrong:,} of {found.items:,} first labels differ from the known answer. Wrong labels corrected with half of the "
            f"{found.extra:,} later labels: {fixed}."
        )
        plain_paragraph(alt)
        columns = {"policy": "Policy", "share": "Later labels spent", "errors": "Wrong labels left"}
        frame.chart_with_table(charts_crowd.replay_curves(found.curve), found.curve, key="replay", alt=alt, columns=columns)
    if shown.skill is not None:
        skill = shown.skill
        low, high = 100 * (skill.difference.low or 0), 100 * (skill.difference.high or 0)
        sure = "no significant difference" if low <= 0 <= high else "a significant difference"
        plain_paragraph(
            f"Assignment by skill, on {skill.n:,} later items with a known answer: the most skilled annotator is right on "
            f"{formatting.format_share(skill.skilled)}, a random annotator on {formatting.format_share(skill.random)} "
            f"({low:+.1f} to {high:+.1f} points, 95 %): {sure}."
        )
        plain_paragraph(
            f"With at most {LOAD_STEP} open items above the annotator with the fewest, the label is right on "
            f"{formatting.format_share(skill.balanced)} (items stay open during the replay). Items of the busiest annotator: "
            f"{skill.busiest['balanced']:,} with this rule, {skill.busiest['skill']:,} by skill alone, "
            f"{skill.busiest['random']:,} at random."
        )
