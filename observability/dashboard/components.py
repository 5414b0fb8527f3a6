"""Components of pages that are drawn by JavaScript of our own, each from a style and a script in `assets/`."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

ASSETS = Path(__file__).parent / "assets"


@cache
def page_component(name: str, html: str = "") -> Callable[..., Any]:
    """The component made of `assets/NAME.css` and `assets/NAME.js`, registered once per process. html: by default one element whose id is
    NAME.
    """
    return st.components.v2.component(
        name,
        html=html or f'<div id="{name}"></div>',
        css=(ASSETS / f"{name}.css").read_text(encoding="utf-8"),
        js=(ASSETS / f"{name}.js").read_text(encoding="utf-8"),
    )
