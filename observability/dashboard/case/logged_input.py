"""The input of a case as it was logged: its text, with words coloured by their effect, and its images.

The effect of a word is the score of the text minus the score without the word; it is computed in the worker and stored. Nothing is fetched
from the network: the address of an image is shown as a link.
"""

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.numerals import format_figure
from observability.dashboard import load
from observability.dashboard.case import load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.explanation import computed_with_progress
from observability.dashboard.components import page_component
from observability.dashboard.widgets import plain_caption
from observability.investigation import logged_content
from observability.investigation.label_types import class_words, with_unit
from observability.investigation.logged_content import LoggedText
from observability.investigation.word_effects import WordEffects

MAX_CHARACTERS = 4000
"""Maximum number of characters of a text that the page shows; the record contains the whole text."""
MIN_COLOURED_EFFECT = 0.05
"""A word is coloured if its effect is at least this share of the largest effect."""


def has_logged_content(here: CasePage) -> bool:
    """Whether a text or an image was logged with the case."""
    return bool(logged_content.logged_texts(here.row) or logged_content.logged_images(here.row))


def effects_pending(here: CasePage) -> bool:
    """Whether a text was logged and the effects of its words have not been computed yet."""
    texts = logged_content.logged_texts(here.row)
    return bool(texts) and _known_effects(here, texts[0]) == (None, None)


def logged_input(here: CasePage, *, ask: bool) -> None:
    """Draw the first logged text and the images of the case; nothing if there are none.

    ask: whether to compute the effects of words in the worker if they are not known; otherwise, the text is drawn at once without colours.
    """
    texts = logged_content.logged_texts(here.row)
    if texts:
        found, why = _known_effects(here, texts[0])
        if found is None and why is None and ask:
            found = computed_with_progress(here, lambda note: load_case.case_word_effects(here.opened, texts[0], note))
        _draw_text(here, texts[0], found, "asked" if ask else "known")
        if why:
            plain_caption(f"Words are not coloured: {why}")
        if len(texts) > 1:
            plain_caption(f"Further texts in the record: {', '.join(text.name for text in texts[1:6])}.")
    for image in logged_content.logged_images(here.row):
        content, reason = logged_content.image_bytes(image, logged_content.image_folders(load.store().home))
        if content is not None:
            st.image(content, caption=formatting.escape_markdown(image.name), width=320)
            continue
        plain_caption(f"Image in {image.name}: {reason}")
        if image.kind != "data":
            st.code(formatting.escape_direction_marks(image.source), language=None, wrap_lines=True)
        if image.kind == "web":
            st.link_button("Open the address", image.source, icon=":material/open_in_new:", type="tertiary")


def _known_effects(here: CasePage, text: LoggedText) -> tuple[WordEffects | None, str | None]:
    """The effects that were computed before, and None; or None and the reason why they cannot be computed; or None twice if nobody has
    asked for them yet.
    """
    if here.row.version.artifact is None:
        return None, "no model file is registered for this version. Register it with --artifact."
    try:
        return load_case.known_word_effects(here.opened, text), None
    except ObservabilityError as error:
        return None, str(error)


def _draw_text(here: CasePage, text: LoggedText, found: WordEffects | None, name: str) -> None:
    """Draw the text with its words coloured by their effects, and the meaning of the colours. name: part of the widgets' keys, because the
    text is drawn twice in a run.
    """
    shown = text.text[:MAX_CHARACTERS]
    top = max((abs(effect) for *_, effect in found.words), default=0.0) if found else 0.0
    words = [
        {"from": start, "to": end, "part": effect / top, "title": f"{effect_words(here, effect)} by this word"}
        for start, end, effect in (found.words if found and top > 0 else ())
        if end <= len(shown) and abs(effect) >= MIN_COLOURED_EFFECT * top
    ]
    caption = f"The logged {text.name}" + (", each word with its effect on the score" if words else "")
    page_component("text")(key=here.key(f"text-{name}"), data={"caption": caption, "text": shown, "words": words})
    if len(text.text) > MAX_CHARACTERS:
        plain_caption(f"The first {MAX_CHARACTERS:,} of {len(text.text):,} characters.")
    if found is not None:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.caption(formatting.escape_markdown(effects_sentence(here, text, found)), width="content")
            _effects_table(text, found, here.key(f"words-{name}"))


def effect_words(here: CasePage, effect: float) -> str:
    """An effect with its sign and unit: points of probability, or the unit of a regression."""
    if here.row.model.classes:
        return f"{format_figure(100 * effect, 2, sign=True)} points"
    return with_unit(here.row.model, format_figure(effect, 3, sign=True))


def effects_sentence(here: CasePage, text: LoggedText, found: WordEffects) -> str:
    """A sentence about the meaning of the colours: the words with the largest effect, and on which score."""
    model = here.row.model
    of = "score" if not model.classes else f"probability of {class_words(model, found.class_name or model.classes[-1])}"
    largest = sorted((word for word in found.words if word[2]), key=lambda word: -abs(word[2]))[:2]
    if not largest:
        return f"Simulated: no word changes the {of} when it is left out."
    named = ", ".join(f"\u201c{text.text[start:end]}\u201d {effect_words(here, effect)}" for start, end, effect in largest)
    return f"Simulated effect on the {of}: {named}."


def _effects_table(text: LoggedText, found: WordEffects, key: str) -> None:
    """Draw a button that shows the words by the size of their effect, and how the effects were computed."""
    with st.popover("Words", type="tertiary", icon=":material/table:", key=key, width="content"):
        through = f"{found.through[0]} to {found.through[-1]}" if len(found.through) > 2 else " and ".join(found.through)
        plain_caption(
            f"Score of the text minus the score without the word, through {len(found.through)} features ({through}). "
            f"The {found.kept} other inputs keep their logged values, also where they count words of the text."
            + (f" Only the first {len(found.words)} words were left out." if found.left else "")
        )
        ranked = sorted(found.words, key=lambda word: -abs(word[2]))
        rows = pd.DataFrame([{"word": text.text[start:end], "effect": effect} for start, end, effect in ranked])
        st.dataframe(rows, hide_index=True, height=min(36 * len(rows) + 38, 420), alt="Words by the size of their effect")
