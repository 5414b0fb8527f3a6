"""If a state has lasted since the first checked day and the model served nothing before, the state began on that day."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from functools import cache
from typing import TYPE_CHECKING

from observability.core.finding import Finding
from observability.core.questions import Aggregate
from observability.core.standing_since import standing_since
from observability.core.window import EPOCH, Window

if TYPE_CHECKING:
    from observability.store.engine import Engine


def began_with_serving(engine: "Engine", found: Sequence[Finding], window: Window) -> list[Finding]:
    """The findings. If the model served nothing before the first day, "or earlier" is removed from the start of an ongoing state."""

    @cache
    def served_before(end: datetime) -> bool:
        before = replace(window, start=EPOCH, end=end, version=None, slice=None)
        return bool(engine.ask(Aggregate("predictions"), before)["n"].sum())

    def since_it_served(finding: Finding) -> Finding:
        since = standing_since(finding)
        if since is None or not since.earlier or served_before(datetime.combine(since.day, time(), UTC)):
            return finding
        return replace(finding, evidence=finding.evidence | replace(since, earlier=False).evidence)

    return [since_it_served(finding) for finding in found]
