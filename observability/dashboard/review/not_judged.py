"""Is nothing wrong, or could it not be told? What a step says where no finding of its analyzers needs a person.

"Fine" is said of the models that were judged alone; the others are named with why.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard.review.review import Room

Body = dict[str, Any]
MOST = 6
"""Models about which a reason is written out."""


def told(room: Room, analyzers: Sequence[str], good: str | None) -> None:
    """What the analyzers of a step could tell. good: the sentence where nothing needs a person; None where something does, which stands above."""
    parts = room.body["models"]
    blind = {each["model"]: why for each in parts if (why := cannot(each, analyzers))}
    if good and len(blind) < len(parts):
        judged = len(parts) - len(blind)
        holds = f" That holds for the {formatting.plural(judged, 'model')} that could be judged." if blind else ""
        st.markdown(f"{formatting.status('ok')}: {formatting.plain(good + holds)}")
    if blind:
        of = formatting.plural(len(parts), "model")
        st.markdown(f"{formatting.status('unknown')}: {formatting.plain(f'cannot tell for {len(blind)} of {of}.')}")
        for model, why in list(blind.items())[:MOST]:
            st.markdown(f"{formatting.plain(model)}: {formatting.sentence(why)}")
        if len(blind) > MOST:
            st.caption(f"And {len(blind) - MOST} more; the live pages say why.")


def cannot(part: Body, analyzers: Sequence[str]) -> str | None:
    """Why a model could not be judged: not at all by the first of the analyzers, which the step is about, or by one that said of nothing whether it is fine.

    None where all that spoke could tell.
    """
    spoke = {name: counted for name in analyzers if (counted := counts(part, name))}
    if analyzers[0] not in spoke:
        return f"Not judged: it has nothing that {words_of(analyzers[0])} can be told from."
    unknown = [name for name, counted in spoke.items() if counted["unknown"] == sum(counted.values())]
    if not unknown:
        return None
    why = next((each["because"] for each in part["findings"] if each["analyzer"] in unknown and each["severity"] == "unknown"), None)
    why = why or next(
        (cell["because"] for name in unknown if (cell := part["strip"].get(name.rpartition("/")[2])) and cell.get("because")), None
    )
    names = " and ".join(words_of(name) for name in unknown)
    return f"{names.capitalize()}: {why}" if why else f"{names.capitalize()} could not be judged."


def words_of(analyzer: str) -> str:
    """An analyzer's name inside a sentence."""
    return analyzer.rpartition("/")[2].replace("_", " ")


def counts(part: Body, analyzer: str) -> dict[str, int]:
    """How many findings of an analyzer have each severity, where it spoke; of a week that did not keep that, of the findings that it kept."""
    if "judged" in part:
        return dict(part["judged"].get(analyzer, {}))
    found = [each["severity"] for each in part["findings"] if each["analyzer"] == analyzer]
    return {name: found.count(name) for name in ("act", "watch", "unknown", "ok")} if found else {}
