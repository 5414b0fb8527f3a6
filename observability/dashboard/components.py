"""Components of pages that are drawn by our own JavaScript, each from a style and a script in `assets/`."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

ASSETS = Path(__file__).parent / "assets"


@cache
def page_component(name: str, html: str = "") -> Callable[..., Any]:
    """Return the component made of `assets/NAME.css` and `assets/NAME.js`, which is registered once per process. html: the content of the
    component, by default one element whose id is NAME.
    """
    return st.components.v2.component(
        name,
        html=html or f'<div id="{name}"></div>',
        css=(ASSETS / f"{name}.css").read_text(encoding="utf-8"),
        js=(ASSETS / f"{name}.js").read_text(encoding="utf-8"),
    )
