"""The models that a person marked as favourites. They are stored in a cookie of the browser, so that they are known when the first page is
drawn.

The server reads the cookie when a session begins. The script of the palette, which is on every page, writes the cookie after a change.
"""

import json
from urllib.parse import unquote

import streamlit as st

COOKIE = "observability-favourite-models"
MAX_FAVOURITES = 50
"""Maximum number of favourites that are stored, because a browser keeps at most 4 kB of a cookie."""
HELD, CHANGED = "favourite-models", "favourite-models-changed"


def favourite_models() -> list[str]:
    """The names of the favourites, the latest first."""
    state = st.session_state
    if HELD not in state:
        state[HELD] = read_favourites(dict(st.context.cookies).get(COOKIE))
    names: list[str] = state[HELD]
    return names


def read_favourites(cookie: str | None) -> list[str]:
    """Return the names in a cookie; an empty list if the cookie cannot be read."""
    try:
        found = json.loads(unquote(cookie or "[]"))
    except ValueError:
        return []
    return [name for name in found if isinstance(name, str)][:MAX_FAVOURITES] if isinstance(found, list) else []


def changed_cookie() -> list[str] | None:
    """Return the favourites to write to the cookie; None if this session has not changed them."""
    return favourite_models() if st.session_state.get(CHANGED) else None


def toggle_favourite(model: str) -> None:
    """Make a model a favourite, or remove it from the favourites if it is one."""
    held = favourite_models()
    st.session_state[HELD] = [name for name in held if name != model] if model in held else [model, *held][:MAX_FAVOURITES]
    st.session_state[CHANGED] = True


def draw_favourite_button(model: str) -> None:
    """Draw the star beside a model."""
    held = model in favourite_models()
    label = "Remove from favourites" if held else "Add to favourites"
    with st.container(key=f"favourite-{'on' if held else 'off'}", width="content"):
        st.button(label, icon=":material/star:", type="tertiary", key="favourite", help=label, on_click=toggle_favourite, args=(model,))


def favourites_first(models: list[str], recent: list[str]) -> list[str]:
    """Return the models: first favourites, then those viewed in this session with the latest first, then the others."""
    first = dict.fromkeys([*favourite_models(), *recent])
    return [*(name for name in first if name in models), *(name for name in models if name not in first)]


def mark_favourites(offered: list[str]) -> None:
    """Draw a star before the names of favourites in the list of the model box. It is added by CSS, because the options must stay the names
    that the address uses. offered: the options in order.
    """
    stars = [place for place, name in enumerate(offered) if name in favourite_models()]
    marked = ", ".join(f'[role="listbox"][aria-label="Model"] [data-key="{place}"] > *::before' for place in stars)
    if stars:
        st.html(f'<style>{marked} {{ content: "★ "; color: #c77e00; }}</style>')
