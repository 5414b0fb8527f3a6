"""The part *Model file and settings* of the page that adds a model: the arguments of `register` besides the columns of the reference."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.alerts.toml_edit import edited_toml
from observability.dashboard.operations.alarm_rule_settings import CHOICES, SETTING_WORDS, choice_in_words

if TYPE_CHECKING:
    from streamlit.typing import UploadedFile

PART = "Model file and settings"
ZONE_HELP = "An IANA name, as Europe/Berlin"
DECIMALS = {",": "Comma, as 1.234,5", ".": "Point; numbers written otherwise stay text"}
WORDS = {
    **{name: SETTING_WORDS[name] for name in ("owner", "fairness_criterion", "threshold")},
    "unit": "Unit of score and label (regression)",
    **{name: SETTING_WORDS[name] for name in ("cost_false_positive", "cost_false_negative", "cost_currency")},
}
"""Settings that are asked for at registration; the other settings are on the page *Rules and settings*."""
TEXTS = ("owner", "unit", "cost_currency")


@dataclass(frozen=True)
class FileAndSettings:
    """The model file and the settings of a registration. artifact: the uploaded model file. decimal, timezone: the same as in
    RegistrationRequest. settings: TOML in the form that `register --settings` reads.
    """

    artifact: "UploadedFile | None" = None
    decimal: str | None = None
    timezone: str | None = None
    settings: str = ""


def file_and_settings() -> FileAndSettings:
    """Draw the folded part, and return the content of its boxes."""
    with st.expander(PART, icon=":material/tune:"):
        artifact = st.file_uploader("Model file, for explanations (LightGBM text, XGBoost JSON, skops or ONNX)", key="new-artifact")
        left, right = st.columns(2)
        words = "Decimal sign of numbers (CSV)"
        decimal = left.selectbox(words, list(DECIMALS), None, format_func=DECIMALS.__getitem__, placeholder="Point", key="new-decimal")
        zone = right.text_input("Time zone of times without offset", placeholder="UTC", help=ZONE_HELP, key="new-zone").strip()
        values = {}
        for place, name in enumerate(WORDS):
            value = _setting_box(right if place % 2 else left, name)
            if value is not None:
                values[name] = value
        st.caption("Empty boxes keep the settings of an existing model. *Rules and settings* has the others.")
        text = edited_toml("", {"settings": values}) if values else ""
        if text:
            st.caption("The same for the command line, as the file of `register --settings`:")
            st.code(text, language="toml")
    return FileAndSettings(artifact, decimal, zone or None, text)


def _setting_box(side: Any, name: str) -> Any:
    """Draw the box of one setting, and return its value; None if the box is empty."""
    key = f"new-{name}"
    if name in CHOICES:
        return side.selectbox(WORDS[name], CHOICES[name], None, format_func=choice_in_words, placeholder="Not set", key=key)
    if name in TEXTS:
        return side.text_input(WORDS[name], placeholder="Not set", max_chars=200, key=key).strip() or None
    return side.number_input(WORDS[name], value=None, min_value=0.0, format="%g", placeholder="Not set", key=key)
