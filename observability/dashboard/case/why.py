"""Why did the case get its score? What the page shows of attributions: a waterfall against one background of three, how stable it is, and the same in words.

Logged and stored attributions are there at once. What has to be computed is computed in the worker, after everything else is on the page, with the
seconds shown; it is kept for the session.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import clicks, frame, links
from observability.dashboard.case import load_case
from observability.dashboard.case.case import Here
from observability.dashboard.case.inputs import around, in_words
from observability.dashboard.charts import case as charts_case
from observability.dashboard.trust import explanations
from observability.investigation import explanation_sentences
from observability.investigation.case_parts import Progress
from observability.investigation.model_answers import AGAINST, Against, Contrast, Contrasts

if TYPE_CHECKING:
    from pandas import DataFrame

Answer = TypeVar("Answer")
MOST_BARS = 8
SMALL = 1e-3
"""A residual below this share of the way from base to output is not drawn."""


def why(here: Here) -> None:
    """The section: what is known at once, the switch between backgrounds, and what is computed when it is asked for."""
    chosen: Against = (
        st.segmented_control(
            "Against",
            list(AGAINST),
            default="average",
            required=True,
            format_func=lambda name: f"against {AGAINST[name]}",
            key=here.key("against"),
        )
        or "average"
    )
    held = kept(here)
    known = load_case.known_contrast(here.opened) if held is None else None
    asked = st.session_state.pop(here.key("compute-now"), False)
    if held is None and (asked or chosen != "average"):
        held = computed(here, lambda note: load_case.contrasts(here.opened, note))
        st.session_state[here.key("contrasts")] = held
    elif held is None and known is None:
        known = computed(here, lambda note: load_case.average(here.opened, note))
    if held is None and known is None:
        return
    found: Contrast | None = getattr(held, chosen) if held else known if chosen == "average" else None
    if found is not None:
        drawn(here, found)
    elif held is not None:
        st.markdown(
            f"{formatting.status('unknown', 'Not given')}: {formatting.sentence(held.why.get(chosen, 'This could not be worked out.'))}"
        )
        step(here)
    if held is None and here.row.version.artifact:
        st.button(
            "How stable is this? Compare with similar cases and correct twins", icon=":material/bolt:", key=here.key("compute"), type="tertiary",
            on_click=lambda: st.session_state.update({here.key("compute-now"): True}),
        )  # fmt: skip


def ready(here: Here) -> bool:
    """Whether there is something to show without computing."""
    return kept(here) is not None or load_case.known_contrast(here.opened) is not None


def kept(here: Here) -> Contrasts | None:
    """What this session computed of the case."""
    found = st.session_state.get(here.key("contrasts"))
    return found if isinstance(found, Contrasts) else None


def computed(here: Here, ask: Callable[[Progress], Answer]) -> Answer | None:
    """What `ask` gives, with its progress and seconds; None where it failed, which is said."""
    began = time.monotonic()
    bar = st.progress(0.0, "Starting the process that runs the model")

    def note(share: float, words: str) -> None:
        bar.progress(min(max(share, 0.0), 1.0), formatting.plain(f"{words} ({time.monotonic() - began:.0f} s)"))

    try:
        return ask(note)
    except ObservabilityError as error:
        st.markdown(f"{formatting.status('unknown', 'Not given')}: {formatting.sentence(str(error))}")
        step(here)
        return None
    finally:
        bar.empty()


def step(here: Here) -> None:
    """What would give an explanation."""
    if not here.row.version.artifact:
        st.caption(
            "The model's file is not registered for this version, so its answers cannot be explained, moved or replayed. "
            "Register it with --artifact, or log attributions with each prediction."
        )


def drawn(here: Here, found: Contrast) -> None:
    """One contrast: the waterfall, its words, and how far it can be trusted."""
    unit = explanations.SPACES.get(found.link, "units of the score")
    if not found.adds_up:
        st.markdown(
            f"{formatting.status('unknown', 'Not drawn')}: {formatting.plain(f'base value and attributions miss the output by {formatting.number(found.residual)}, so the bars would mislead.')}"
        )
    else:
        rows = waterfall_rows(found)
        said = " ".join(found.words) or "What pushed the score is drawn."
        frame.chart(
            charts_case.waterfall(rows, unit=unit),
            rows[["label", "attribution", "start", "end", "error"]],
            key=f"waterfall-{found.against}",
            alt=said,
            metrics=("attribution_share",),
            columns={"label": "What", "attribution": "Moves the output by", "start": "From", "end": "To", "error": "Standard error"},
            on_select=lambda: to_feature(here, found, len(rows)),
        )
        st.caption(
            formatting.plain(f"{AGAINST[found.against].capitalize()} at the top, this case at the bottom.")
            + " A click on a bar shows how the model uses that feature, with this case marked."
        )
    for sentence in found.words:
        st.markdown(formatting.sentence(sentence))
    if found.stability:
        stars = "★" * found.stability.stars + "☆" * (5 - found.stability.stars)
        st.markdown(
            f"**Stability {stars}** {formatting.plain(f'{found.stability.stars} of 5.')} {formatting.sentence(formatting.stopped(found.stability.because))}"
        )
    rows_ = f", {found.background_rows:,} rows" if found.background_rows else ""
    got = (here.row.probabilities or {}).get(found.class_name or "")
    share = f", which got {formatting.share(float(got))}" if got is not None else ""
    of_class = f" Of the class {found.class_name}{share}." if found.class_name else ""
    st.caption(
        formatting.plain(
            f"Base value {formatting.number(found.base_value, 4)}: {found.background}{rows_}. Output {formatting.number(found.output, 4)}, "
            f"{explanation_sentences.left_over(found.residual)}. {found.source.capitalize()}, {found.basis}, by {explanation_sentences.method(found.method)}.{of_class}"
        )
    )
    if found.note:
        st.caption(formatting.sentence(found.note))
    first = next(iter(found.bars), None)
    if first is not None:
        target = links.link("", "explanations", around(here), feature=first.feature, id=here.row.id)["go"]
        label = f"How the model uses {formatting.plain(first.feature[:40])}"
        st.button(label, type="tertiary", icon=":material/lightbulb:", key=here.key("dependence"), on_click=links.go, args=(target,))


def to_feature(here: Here, found: Contrast, count: int) -> None:
    """After a click on a bar: how the model uses that feature, with this case marked. Base, residual and the others lead nowhere."""
    chosen = st.session_state.get(f"waterfall-{found.against}") or {}
    for point in chosen.get("selection", {}).get("points", []):
        place = clicks.place(point, "y", count)
        bar = count - 2 - place if place is not None else -1  # the first row is the base value
        if 0 <= bar < min(len(found.bars), MOST_BARS):
            links.go(links.link("", "explanations", around(here), feature=found.bars[bar].feature, id=here.row.id)["go"])
            return


def waterfall_rows(found: Contrast) -> "DataFrame":
    """The waterfall from the top: base, the largest features, the others, what is left over, output. Columns as charts_case.waterfall takes them."""
    import pandas as pd

    at = found.base_value
    rows = [("base value", at, at, 0.0, float("nan"), "base")]
    shown, rest = found.bars[:MOST_BARS], found.bars[MOST_BARS:]
    for each in shown:
        error = float("nan") if each.standard_error is None else each.standard_error
        rows.append((f"{each.feature} = {in_words(each.value)}", at, at + each.attribution, each.attribution, error, "feature"))
        at += each.attribution
    if rest:
        total = sum(each.attribution for each in rest)
        rows.append((f"{len(rest)} others", at, at + total, total, float("nan"), "rest"))
        at += total
    if abs(found.residual) > SMALL * max(abs(found.output - found.base_value), 1e-12):
        rows.append(("residual", at, at + found.residual, found.residual, float("nan"), "residual"))
        at += found.residual
    rows.append(("this case", found.output, found.output, 0.0, float("nan"), "output"))
    return pd.DataFrame(rows, columns=["label", "start", "end", "attribution", "error", "kind"])
