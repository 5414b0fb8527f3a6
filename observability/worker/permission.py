"""Decide whether models may run if the system cannot confine them. The decisions of the owner of a home are kept with their authors.

`HOME/unconfined-models.jsonl` (0600) holds one decision per line; the last decision is in force, and a decision that cannot be read permits
nothing. Backups leave it out, because a permission is about one system.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from observability.records.private_file import replace_private_file

FILE = "unconfined-models.jsonl"
VARIABLE = "OBSERVABILITY_UNCONFINED_MODELS"
"""Environment variable: `allow` or `refuse` decides at the start of the dashboard or a command, instead of a person."""
WORDS = {"allow": True, "refuse": False}
_home: Path | None = None


@dataclass(frozen=True)
class ConfinementDecision:
    """One decision. at: RFC 3339, UTC. author, reason: as entered."""

    at: str
    allowed: bool
    author: str
    reason: str


def confinement_decisions(home: Path) -> list[ConfinementDecision]:
    """Every decision of a home, oldest first; a line that cannot be read counts as a decision that permits nothing. Read-only."""
    try:
        lines = (home / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError:
        return [_unreadable()]
    found = []
    for line in lines:
        try:
            body = json.loads(line)
            found.append(ConfinementDecision(str(body["at"]), body["allowed"] is True, str(body["author"]), str(body["reason"])))
        except (ValueError, KeyError, TypeError):
            found.append(_unreadable())
    return found


def _unreadable() -> ConfinementDecision:
    return ConfinementDecision("", False, "", "The decision cannot be read.")


def decide_unconfined(home: Path, allowed: bool, author: str, reason: str) -> None:
    """Allow or refuse models without confinement from now on. Raises OSError if the disk refuses; the earlier permission then stays in
    force.
    """
    new = ConfinementDecision(datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), allowed, author, reason)
    kept = "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in (*confinement_decisions(home), new))
    replace_private_file(home / FILE, kept)


def use_decisions_of(home: Path) -> None:
    """Use the decisions of a home in this process. If the environment variable states another decision than the last one, it is recorded
    first.
    """
    global _home
    _home = home
    allowed = WORDS.get(os.environ.get(VARIABLE, "").strip().lower())
    if allowed is not None and allowed != unconfined_allowed():
        with suppress(OSError):  # the earlier decision stays in force
            decide_unconfined(home, allowed, VARIABLE, "The environment variable said so at the start.")


def confinement_decision() -> ConfinementDecision | None:
    """The decision that holds in this process; None if nobody decided."""
    made = [] if _home is None else confinement_decisions(_home)
    return made[-1] if made else None


def unconfined_allowed() -> bool:
    """Whether models may run in this process if the system cannot confine them."""
    decision = confinement_decision()
    return decision is not None and decision.allowed
