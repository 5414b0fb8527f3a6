"""How near was the case to another answer? Its margin, the nearest real case that was answered otherwise, what would have flipped it, and what-if.

Whatever the model says to inputs that never were is marked simulated. Features that nobody can change are shown, and stay locked.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.numerals import worded
from observability.dashboard import frame, links
from observability.dashboard.case import load_case, what_if
from observability.dashboard.case.case import Here
from observability.dashboard.case.inputs import in_words
from observability.dashboard.case.why import computed as asked_now
from observability.dashboard.case.why import step
from observability.dashboard.charts import case as charts_case
from observability.dashboard.table import Cell, column, row, table
from observability.investigation.counterfactuals import Found
from observability.investigation.model_answers import Curve, Margin, Opposite

MOST_CHANGES = 8
Answer = TypeVar("Answer")


def edge(here: Here) -> None:
    """What is known without the model first, then what the model has to be asked."""
    near: Margin | None = said(lambda: load_case.margin(here.opened))
    if near is not None:
        st.markdown(formatting.sentence(formatting.stopped(near.because)))
    opposite(here)
    if not here.row.version.artifact:
        st.markdown(f"{formatting.status('unknown', 'Off')}: what the model would say to other inputs cannot be asked.")
        step(here)
        what_if.saved(here)
        return
    flips(here)
    what_if.what_if(here)
    curves(here)


def said(ask: Callable[[], Answer]) -> Answer | None:
    """What `ask` gives; where it cannot be given, the reason is said."""
    try:
        return ask()
    except ObservabilityError as error:
        st.markdown(f"{formatting.status('unknown', 'Not given')}: {formatting.sentence(str(error))}")
        return None


def opposite(here: Here) -> None:
    """The nearest real case that was answered otherwise, with what differs."""
    st.subheader("The nearest real case that was answered otherwise", anchor=False)
    found: Opposite | None = said(lambda: load_case.opposite(here.opened))
    if found is None:
        return
    label = f"its label is {worded(found.label)}" if found.label is not None else "it has no label"
    st.markdown(
        formatting.plain(
            f"It differs in {len(found.changes)} features; {label}. Nearest of {found.searched:,} rows, at distance {formatting.number(found.distance)}."
        )
    )
    columns = (column("feature", "Feature", strong=True), column("mine", "This case"), column("theirs", "The other case"))
    rows = [
        row({"feature": {"t": name}, "mine": {"t": in_words(mine)}, "theirs": {"t": in_words(theirs), "mark": "differs", "changed": True}})
        for name, (mine, theirs) in list(found.changes.items())[:MOST_CHANGES]
    ]
    answer: Cell = {"t": answered(here, found.prediction, found.score)}
    own: Cell = {"t": answered(here, here.row.answer, here.row.score)}
    head = row({"feature": links.case(found.id, found.id, here.row.model.name, here.scope), "mine": own, "theirs": answer}, selected=True)
    table("opposite", "This case beside the nearest one that was answered otherwise", columns, [head, *rows], compact=True)
    if len(found.changes) > MOST_CHANGES:
        st.caption(f"The {MOST_CHANGES} largest of {len(found.changes)} differences.")


def answered(here: Here, prediction: str | None, score: float | None) -> str:
    """An answer with its score; of a regression they are one number."""
    if here.row.model.task == "regression":
        return formatting.number(score)
    return f"{prediction if prediction is not None else formatting.DASH} ({formatting.number(score)})"


def flips(here: Here) -> None:
    """Counterfactuals beside the original."""
    st.subheader("What would have changed the answer", anchor=False)
    found = None if here.key("flips") in st.session_state else load_case.known_flips(here.opened)
    if found is None:
        found = computed(here, "flips", "Look for changes that flip it", lambda note: load_case.flips(here.opened, note))
    if found is None:
        return
    st.markdown(f"{what_if.SIMULATED} {formatting.plain(f'Looked for: {found.goal.text}.')}")
    rows_of(here, found)
    locked = f"Locked, because nobody can change them: {', '.join(found.locked)}. " if found.locked else ""
    st.caption(formatting.plain(f"{locked}{found.asked:,} changed inputs were scored in {found.seconds:.1f} s. {found.note}".strip()))


def rows_of(here: Here, found: Found) -> None:
    """A row for each feature that some counterfactual changes, a column for each counterfactual."""
    names = list(dict.fromkeys(name for each in found.counterfactuals for name in each.changes))
    columns = [column("feature", "Feature", strong=True), column("own", "This case")]
    columns += [column(f"c{place}", f"Change {place + 1}") for place in range(len(found.counterfactuals))]
    rows = []
    for name in names:
        cells: dict[str, Cell] = {"feature": {"t": name}, "own": {"t": in_words(here.row.features.get(name))}}
        for place, each in enumerate(found.counterfactuals):
            pair = each.changes.get(name)
            cells[f"c{place}"] = {"t": in_words(pair[1]), "mark": "changed", "changed": True} if pair else {"t": "the same", "quiet": True}
        rows.append(row(cells))
    scores: dict[str, Cell] = {"feature": {"t": "Score"}, "own": {"t": formatting.number(here.row.score)}}
    for place, each in enumerate(found.counterfactuals):
        scores[f"c{place}"] = {
            "s": "ok" if each.reached else "unknown",
            "t": spoken(each.score),
            "title": "another answer" if each.reached else "not quite",
        }
    table("flips", "Changes that the model answers otherwise, beside this case", columns, [*rows, row(scores, selected=True)], compact=True)


def spoken(score: Any) -> str:
    """A score; of classes the most probable one."""
    if isinstance(score, dict) and score:
        best = max(score, key=lambda name: score[name])
        return f"{best} ({formatting.number(score[best])})"
    return formatting.number(score) if isinstance(score, int | float) else formatting.DASH


def curves(here: Here) -> None:
    """The score along single features."""
    st.subheader("One feature at a time", anchor=False)
    found: tuple[Curve, ...] | None = computed(
        here, "curves", "Draw how the score goes with each feature", lambda note: load_case.curves(here.opened, note)
    )
    if not found:
        return
    st.markdown(f"{what_if.SIMULATED} Everything else stays as it is; the diamond is this case.")
    for start in range(0, len(found), 3):
        for place, (each, side) in enumerate(zip(found[start : start + 3], st.columns(3), strict=False), start):
            with side:
                one_curve(here, each, place)


def one_curve(here: Here, each: Curve, place: int) -> None:
    """One chart with its sentence."""
    import pandas as pd

    rows = pd.DataFrame({"value": list(each.values), "score": list(each.scores), "another_answer": list(each.flips)})
    edge_ = here.row.threshold if here.row.model.task == "binary" else None
    low, high = min(each.scores), max(each.scores)
    flipping = sum(each.flips)
    said_ = f"{each.feature} moves the score between {formatting.number(low)} and {formatting.number(high)}; " + (
        f"{flipping} of {len(each.flips)} values give another answer." if flipping else "no value gives another answer."
    )
    st.markdown(formatting.plain(said_) + (" :gray[:material/lock: locked]" if each.locked else ""))
    figure = charts_case.ice(rows, feature=each.feature, kind=each.kind, at=each.at, score=each.score, edge=edge_, unit="score")
    frame.chart(figure, rows, key=f"ice-{place}", alt=f"Simulated: {said_}")


def computed(here: Here, name: str, label: str, ask: Callable[[Callable[[float, str], None]], Answer]) -> Answer | None:
    """What this session computed, or a button that computes it with progress; None while there is nothing."""
    key = here.key(name)
    if key in st.session_state:
        found: Answer = st.session_state[key]
        return found
    if not st.session_state.pop(f"{key}-wanted", False):
        st.button(label, icon=":material/bolt:", key=f"{key}-button", on_click=lambda: st.session_state.update({f"{key}-wanted": True}))
        return None
    answer = asked_now(here, ask)
    if answer is not None:
        st.session_state[key] = answer
    return answer
