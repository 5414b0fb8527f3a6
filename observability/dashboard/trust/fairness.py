"""What is the fairness page about: which attribute, which criterion, and what is claimed? (Groups: fairness_groups.py, pairs of them: fairness_pairs.py.)"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.core.window import Window
from observability.dashboard import distributions, empty_states, frame, load, person_name
from observability.dashboard.choice_box import choose
from observability.dashboard.frame import Here
from observability.detection.fairness_criteria import CRITERIA, Criterion, criterion_of, level
from observability.detection.fairness_sentences import ROWS, because_level, difference
from observability.metrics.groups import MOST_CLASSES, Attribute, Groups, attributes, enough, measure, of_class, question
from observability.stats.group import Spread

if TYPE_CHECKING:
    pass

NOTE = (
    "**These criteria exclude each other here.** The share of positives in the labels differs between the groups ({}). Then no model that errs at all "
    "can treat the groups alike by demographic parity, equalized odds and predictive parity at once (Kleinberg, Mullainathan and Raghavan 2016; "
    "Chouldechova 2017). So choose one, for a reason that you can give to those who are judged; it stands on record with the model."
)


@dataclass(frozen=True)
class Chosen:
    """What the page is about: the attribute, the criterion that is looked at, the groups now and (None: no reference) in the reference.

    of: the one class of several whose rates are drawn; None: the criterion's own.
    """

    attribute: Attribute
    criterion: Criterion
    now: Groups
    before: Groups | None
    window: Window
    of: str | None = None

    @property
    def rates(self) -> tuple[str, ...]:
        """The rates that are drawn."""
        return (
            self.criterion.rates if self.of is None else tuple(of_class(rate, self.of) for rate in ("true_positive_rate", "selection_rate"))
        )


def available(here: Here) -> tuple[list[Attribute], Window]:
    """The sensitive attributes that can be grouped by, and the window of the version that is judged."""
    version, window = distributions.judged_version(here.model, here.window, here.window.version)
    return attributes(here.model, version), window


def none_registered(here: Here) -> None:
    """The page of a model without sensitive attributes: how to add them."""
    empty_states.nothing(
        f"No sensitive attribute is known for {formatting.plain(here.model.name)}, so its groups cannot be compared.",
        "Register this version again and name the columns, as `--sensitive sex --sensitive age`; they need not be features. Log them under `groups` "
        "where the model does not see them.",
        "add_model",
        "Register",
    )


def choices(here: Here) -> Chosen | None:
    """The boxes for attribute and criterion, and what they lead to; None where there is nothing to show, which is then said."""
    found, window = available(here)
    if not found:
        none_registered(here)
        return None
    names = [each.name for each in found]
    with st.container(horizontal=True, gap="medium"):
        name = choose(
            "attribute", "Attribute", names, placeholder=names[0], width=240,
            missing="The link names the attribute {}, which this model does not have.",
        )  # fmt: skip
        attribute = found[names.index(name or names[0])]
        now, before = both(here, window, [attribute])
        criterion = criterion_of(here.model, now)
        if criterion is None:
            return None
        if here.model.task == "binary":
            criterion = choose_criterion(criterion)
        of = choose_class(here) if here.model.task == "multiclass" else None
    if now.rows.sum() == 0:
        empty_states.no_rows()
        return None
    return Chosen(attribute, criterion, now, before, window, of)


def choose_class(here: Here) -> str | None:
    """The box of a model of several classes: whose rates are drawn by group."""
    return choose(
        "class", "Class", here.model.classes[:MOST_CLASSES], placeholder="Whether decisions are right", width=280,
        missing="The link names the class {}, which this model does not have.",
    )  # fmt: skip


def title(rate: str) -> str:
    """A rate in words: of one class of several, how often its labels are found, and how often it is decided."""
    name, _, of = rate.partition(" of ")
    return f"{'Found' if name == 'true_positive_rate' else 'Decided'} as {of}" if of else formatting.metric_title(name)


def counted(rate: str) -> str:
    """What the rows of a rate are called."""
    name, _, of = rate.partition(" of ")
    if of:
        return f"labelled {of}" if name == "true_positive_rate" else "decisions"
    return ROWS.get(rate, "labelled rows" if rate in ("accuracy", "mae") else "decisions")


def class_words(chosen: Chosen) -> None:
    """How far groups differ in the rates of one class; nothing where none is chosen. Looked at, not judged."""
    if chosen.of is None:
        return
    for rate in chosen.rates:
        keep = np.asarray(enough(chosen.now, rate))
        if keep.sum() < 2:
            st.markdown(formatting.plain(f"{title(rate)}: fewer than two groups are large enough to compare."))
            continue
        names = [name for name, held in zip(chosen.now.names, keep) if held]
        st.markdown(formatting.plain(f"{title(rate)}: {sure_words(rate, names, chosen.now.metrics[rate].at(keep).spread())}"))
    st.caption("Looked at; a model of several classes is held against equal accuracy.")


def choose_criterion(usual: Criterion) -> Criterion:
    """The box for the criterion that is looked at, first the one that the model is held against."""
    of_metric = {each.metric: each for each in CRITERIA.values()}
    order = [usual.metric, *(each for each in of_metric if each != usual.metric)]
    metric = choose(
        "metric", "Criterion", order, words=lambda each: of_metric[each].title if each in of_metric else each, placeholder=usual.title, width=280,
        missing="The link names the criterion {}, which there is not.",
    )  # fmt: skip
    return of_metric[metric or usual.metric]


def both(here: Here, window: Window, chosen: Sequence[Attribute]) -> tuple[Groups, Groups | None]:
    """The groups now, and at the same places in the reference."""
    asked = question(here.model, chosen)
    now = measure(here.model, frame.guarded(lambda: load.frame(asked, window)), chosen)
    if window.version is None:
        return now, None
    before = load.frame(asked, replace(window.reference(), slice=None))
    return now, measure(here.model, before, chosen).aligned(now.levels) if len(before) else None


def claims(here: Here, chosen: Chosen, found: Sequence[Finding]) -> str:
    """The sentence about the criterion that is looked at; drawn, and returned as the charts' alternative text."""
    about = [each for each in found if each.subject == chosen.attribute.name]
    metrics = (chosen.criterion.metric, *(("demographic_parity_ratio",) if chosen.criterion.name == "demographic_parity" else ()))
    held = next((each for each in about if each.metric in metrics), None)
    if held is not None:
        word = "Stood before" if held.evidence.get("stood_in_reference") and held.severity == "ok" else None
        st.markdown(f"{formatting.status(held.severity, word)}: **{formatting.sentence(held.because)}**")
        said = held.because
    else:
        judged = level(chosen.criterion, chosen.now, chosen.before, here.model.settings)
        said = (
            because_level(here.model, chosen.attribute, chosen.now, judged, "ok")
            if judged
            else f"Fewer than two groups of `{chosen.attribute.name}` are large enough to compare by this criterion."
        )
        st.markdown(f"**{formatting.sentence(said)}** :gray[Looked at; the model is not held against this criterion.]")
    for each in found:
        if each.subject.startswith(f"{chosen.attribute.name}=") and needs_action(each.severity):
            st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    return said.replace("`", "")


def note(here: Here, chosen: Chosen) -> None:
    """What the criterion asks, whether criteria exclude each other here, and how to make it the model's."""
    criterion, settled = chosen.criterion, here.model.settings.fairness_criterion
    st.caption(formatting.plain(f"{criterion.title}: {criterion.asks}."))
    if here.model.task != "binary":
        return
    rates = chosen.now.metrics["base_rate"]
    keep = enough(chosen.now, "base_rate")
    if keep.sum() >= 2 and rates.at(keep).spread().p_value < 0.05:
        low, high = (int(np.flatnonzero(keep)[place]) for place in (rates.at(keep).value.argmin(), rates.at(keep).value.argmax()))
        ends = f"{formatting.share(rates.value[low])} for {chosen.now.names[low]}, {formatting.share(rates.value[high])} for {chosen.now.names[high]}"
        st.info(NOTE.format(formatting.plain(ends)), icon=":material/balance:")
    if settled == criterion.name:
        st.caption(formatting.plain(f"The owner of {here.model.name} chose this criterion."))
        return
    words = f"The owner chose {CRITERIA[settled].title.lower()}." if settled in CRITERIA else "The owner has chosen no criterion yet."
    with st.popover(f"{words} Choose {criterion.title.lower()}?", icon=":material/gavel:"):
        st.markdown(formatting.plain(f"From then on {here.model.name} is held against {criterion.title.lower()}: {criterion.asks}."))
        if st.button(f"Choose {criterion.title.lower()}", type="primary", key="choose-criterion"):
            save(here, criterion)


def save(here: Here, criterion: Criterion) -> None:
    """Make a criterion the model's, in its settings."""
    from observability.alerts import alarm_rules

    frame.guarded(
        lambda: alarm_rules.keep(
            load.store(), here.model.name, replace(here.model.settings, fairness_criterion=criterion.name), author=person_name.known()
        )
    )
    st.rerun()


def sure_words(metric: str, names: Sequence[str], spread: Spread) -> str:
    """Which two groups differ most surely, and what chance gives them. names: of the groups of the spread, in its order."""
    pair = spread.surest
    if pair is None:
        return ""
    return (
        f"Surest is the difference of {names[pair.lowest]} and {names[pair.highest]}, {difference(metric, pair.difference)}:"
        f" if all were equal, these two would differ by less than {difference(metric, spread.null_95)} 95 times in 100."
    )
