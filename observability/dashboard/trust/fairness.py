"""The fairness page: attribute, criterion and finding. Groups are in fairness_groups.py, pairs of groups in fairness_pairs.py."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.core.window import Window
from observability.dashboard import distributions, empty_states, frame, load, sign_in
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.frame import ModelPage
from observability.dashboard.widgets import finding_line, plain_paragraph, save_model_settings
from observability.detection.fairness_criteria import CRITERIA, Criterion, criterion_level, criterion_of
from observability.detection.fairness_sentences import ROWS, criterion_sentence, group_difference
from observability.metrics.groups import (
    MAX_CLASSES,
    Attribute,
    GroupMetrics,
    class_rate_name,
    group_metrics,
    group_question,
    groups_with_enough_rows,
    sensitive_attributes,
)
from observability.stats.group import GroupSpread

INCOMPATIBLE_CRITERIA = (
    "Base rates differ between groups ({}). Then no model with errors satisfies demographic parity, equalized odds and predictive parity "
    "at once (Kleinberg, Mullainathan and Raghavan 2016; Chouldechova 2017). Choose one criterion and state the reason."
)


@dataclass(frozen=True)
class FairnessView:
    """The data of the page: attribute, shown criterion, and the groups now and in the reference (None if there is no reference).

    of: the class whose rates are shown (multiclass); None to show the rates of the criterion.
    """

    attribute: Attribute
    criterion: Criterion
    now: GroupMetrics
    before: GroupMetrics | None
    window: Window
    of: str | None = None

    @property
    def rates(self) -> tuple[str, ...]:
        """The names of the rates to show: those of the criterion, or two rates of the chosen class."""
        if self.of is None:
            return self.criterion.rates
        return tuple(class_rate_name(rate, self.of) for rate in ("true_positive_rate", "selection_rate"))


def groupable_attributes(here: ModelPage) -> tuple[list[Attribute], Window]:
    """The sensitive attributes with groups, and the window of the analyzed version."""
    version, window = distributions.analyzed_version(here.model, here.window, here.window.version)
    return sensitive_attributes(here.model, version), window


def _no_sensitive_attribute(here: ModelPage) -> None:
    """Draw the empty state of a model without sensitive attributes: how to add them."""
    empty_states.empty_state(
        f"{formatting.escape_markdown(here.model.name)} has no sensitive attribute.",
        "Register this version again with `--sensitive sex --sensitive age`. Columns that are not features are logged under `groups`.",
        "add_model",
        "Register",
    )


def fairness_view(here: ModelPage) -> FairnessView | None:
    """Draw the boxes for attribute and criterion, and return the data for the choice; None, with an empty state, if there is nothing to
    show.
    """
    found, window = groupable_attributes(here)
    if not found:
        _no_sensitive_attribute(here)
        return None
    names = [each.name for each in found]
    with st.container(horizontal=True, gap="medium"):
        missing = "The link names the attribute {}, which this model does not have."
        name = address_selectbox("attribute", "Attribute", names, placeholder=names[0], width=240, missing=missing)
        attribute = found[names.index(name or names[0])]
        now, before = groups_now_and_reference(here, window, [attribute])
        criterion = criterion_of(here.model, now)
        if criterion is None:
            return None
        if here.model.task == "binary":
            criterion = _chosen_criterion(criterion)
        of = _chosen_fairness_class(here) if here.model.task == "multiclass" else None
    if now.rows.sum() == 0:
        empty_states.no_rows_state()
        return None
    return FairnessView(attribute, criterion, now, before, window, of)


def _chosen_fairness_class(here: ModelPage) -> str | None:
    """Draw the box for a class (multiclass), and return the chosen class; None for accuracy."""
    classes, missing = here.model.classes[:MAX_CLASSES], "The link names the class {}, which this model does not have."
    return address_selectbox("class", "Class", classes, placeholder="Accuracy", width=280, missing=missing)


def rate_title(rate: str) -> str:
    """The title of a rate. For the rate of one class: the title of its recall or of its share of decisions."""
    name, _, of = rate.partition(" of ")
    return f"{'Recall' if name == 'true_positive_rate' else 'Selection rate'} of {of}" if of else formatting.metric_title(name)


def rate_rows_words(rate: str) -> str:
    """Words for the rows from which a rate is computed."""
    name, _, of = rate.partition(" of ")
    if of:
        return f"labelled {of}" if name == "true_positive_rate" else "decisions"
    return ROWS.get(rate, "labelled rows" if rate in ("accuracy", "mae") else "decisions")


def class_differences(chosen: FairnessView) -> None:
    """Draw how the rates of the chosen class differ between groups. No findings are made about these differences. Draws nothing if no class
    is chosen.
    """
    if chosen.of is None:
        return
    for rate in chosen.rates:
        keep = np.asarray(groups_with_enough_rows(chosen.now, rate))
        if keep.sum() < 2:
            plain_paragraph(f"{rate_title(rate)}: fewer than two large enough groups.")
            continue
        names = [name for name, held in zip(chosen.now.names, keep) if held]
        plain_paragraph(f"{rate_title(rate)}: {surest_difference_words(rate, names, chosen.now.metrics[rate].at(keep).spread())}")
    st.caption("For information; the criterion of multiclass models is equal accuracy.")


def _chosen_criterion(usual: Criterion) -> Criterion:
    """Draw the box for the shown criterion, with the model's own criterion first. Returns the chosen criterion."""
    of_metric = {each.metric: each for each in CRITERIA.values()}
    order = [usual.metric, *(each for each in of_metric if each != usual.metric)]
    titles, missing = {name: criterion.title for name, criterion in of_metric.items()}, "The link names the unknown criterion {}."
    metric = address_selectbox(
        "metric", "Criterion", order, words=lambda name: titles.get(name, name), placeholder=usual.title, width=280, missing=missing
    )
    return of_metric[metric or usual.metric]


def groups_now_and_reference(here: ModelPage, window: Window, chosen: Sequence[Attribute]) -> tuple[GroupMetrics, GroupMetrics | None]:
    """The metrics of the groups now, and those in the reference in the same order of groups."""
    asked = group_question(here.model, chosen)
    now = group_metrics(here.model, frame.answer_or_stop(lambda: load.ask_store(asked, window)), chosen)
    if window.version is None:
        return now, None
    before = load.ask_store(asked, replace(window.reference(), slice=None))
    return now, group_metrics(here.model, before, chosen).aligned(now.levels) if len(before) else None


def fairness_sentence(here: ModelPage, chosen: FairnessView, found: Sequence[Finding]) -> str:
    """Draw the sentence about the shown criterion. Returns it as plain text, for use as the alternative text of the charts."""
    about = [each for each in found if each.subject == chosen.attribute.name]
    metrics = (chosen.criterion.metric, *(("demographic_parity_ratio",) if chosen.criterion.name == "demographic_parity" else ()))
    held = next((each for each in about if each.metric in metrics), None)
    if held is not None:
        word = "Pre-existing gap" if held.evidence.get("stood_in_reference") and held.severity == "ok" else None
        finding_line(held, word, strong=True)
        said = held.because
    else:
        judged = criterion_level(chosen.criterion, chosen.now, chosen.before, here.model.settings)
        said = (
            criterion_sentence(here.model, chosen.attribute, chosen.now, judged, "ok")
            if judged
            else f"Fewer than two large enough groups of `{chosen.attribute.name}` for this criterion."
        )
        st.markdown(f"**{formatting.sentence_markdown(said)}** :gray[For information; not the criterion of this model.]")
    for each in found:
        if each.subject.startswith(f"{chosen.attribute.name}=") and needs_action(each.severity):
            finding_line(each)
    return said.replace("`", "")


def criterion_note(here: ModelPage, chosen: FairnessView) -> None:
    """Draw the definition of the criterion, a note on criteria that cannot hold together, and the button that makes it the criterion of the
    model.
    """
    criterion, settled = chosen.criterion, here.model.settings.fairness_criterion
    asked = f"{criterion.title}: {criterion.asks}"
    owner = f"Criterion of {here.model.name}, chosen by its owner." if settled == criterion.name else None
    about = _incompatible_criteria(chosen) if here.model.task == "binary" else None
    words = f"{asked}{'; other criteria cannot hold together with it here' if about else ''}."
    st.caption(formatting.escape_markdown(words), help=formatting.escape_markdown(" ".join(filter(None, (about, owner)))) or None)
    if here.model.task != "binary":
        return
    if settled == criterion.name or not sign_in.may_change(here.model.name, "fairness_criterion"):
        return
    words, name = f"Criterion: {CRITERIA[settled].title.lower()}" if settled in CRITERIA else "No criterion chosen", criterion.title.lower()
    with st.popover(f"{words}. Change to {name}?", icon=":material/gavel:"):
        plain_paragraph(f"Findings about {here.model.name} will then use {name}: {criterion.asks}.")
        if st.button(f"Use {name}", type="primary", key="choose-criterion"):
            save_model_settings(here.model.name, replace(here.model.settings, fairness_criterion=criterion.name))


def _incompatible_criteria(chosen: FairnessView) -> str | None:
    """Why no model can satisfy every criterion here: the base rates differ. None if they do not differ significantly."""
    rates, keep = chosen.now.metrics["base_rate"], groups_with_enough_rows(chosen.now, "base_rate")
    if keep.sum() < 2 or rates.at(keep).spread().p_value >= 0.05:
        return None
    low, high = (int(np.flatnonzero(keep)[place]) for place in (rates.at(keep).value.argmin(), rates.at(keep).value.argmax()))
    ends = ", ".join(f"{formatting.format_share(rates.value[place])} for {chosen.now.names[place]}" for place in (low, high))
    return INCOMPATIBLE_CRITERIA.format(ends)


def surest_difference_words(metric: str, names: Sequence[str], spread: GroupSpread) -> str:
    """Words for the most significant difference between two groups, and the difference to expect by chance. names: the groups in the order
    of the spread.
    """
    pair = spread.surest
    if pair is None:
        return ""
    return (
        f"most significant: {names[pair.lowest]} and {names[pair.highest]}, {group_difference(metric, pair.difference)} "
        f"(expected from sampling noise, 95 %: {group_difference(metric, spread.null_95)})."
    )
