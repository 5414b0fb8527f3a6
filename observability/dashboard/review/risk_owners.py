"""Who may accept a risk of a model: the people named in its settings. Also how the signature of anybody else is shown."""

import streamlit as st

from observability.core import formatting
from observability.core.settings import ModelSettings
from observability.dashboard import load
from observability.dashboard.table import Cell

NOT_A_RISK_OWNER = "not a risk owner"


def _settings_of(name: str) -> ModelSettings:
    """The settings of a model; defaults if no such model is known."""
    return next((model.settings for model in load.catalog().models if model.name == name), ModelSettings())


def signer_words(model: str) -> str:
    """A sentence that states who may accept a risk of a model."""
    names = _settings_of(model).risk_owners
    if not names:
        return "No risk owner is stated, so anybody may sign: set `risk_owners`."
    return f"Risk owner: {formatting.join_words([formatting.escape_markdown(name) for name in names], 6)}."


def is_signed_by_risk_owner(model: str, author: str) -> bool:
    """Whether the author of a signature may accept a risk of the model, according to the present settings."""
    return _settings_of(model).may_sign(author)


def refuses_signature(model: str, author: str) -> bool:
    """Whether the author may not accept a risk of a model. If so, the page shows an error that names the people who may."""
    if is_signed_by_risk_owner(model, author):
        return False
    said = (
        f"{formatting.escape_markdown(author)} is no risk owner of {formatting.escape_markdown(model)}: not signed. {signer_words(model)}"
    )
    st.error(said, icon=":material/person_off:")
    return True


def signer_cell(model: str, author: str) -> Cell:
    """The author of a signature in a table, with a warning if the author is not a risk owner of the model."""
    return {"t": author} if is_signed_by_risk_owner(model, author) else {"t": author, "s": "watch", "sub": NOT_A_RISK_OWNER}
