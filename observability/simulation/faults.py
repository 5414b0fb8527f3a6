"""Which faults are there?"""

import difflib

from observability.core.errors import NotFoundError
from observability.simulation import faults_data, faults_outcomes, faults_service, faults_training
from observability.simulation.fault import Fault

FAULTS: dict[str, Fault] = {each.name: each for each in (*faults_data.FAULTS, *faults_outcomes.FAULTS, *faults_service.FAULTS)}


def fault(name: str) -> Fault:
    """The fault of that name; raises NotFoundError with the nearest."""
    found = FAULTS.get(name.replace("-", "_"))
    if found is not None:
        return found
    near = difflib.get_close_matches(name, [*FAULTS, *faults_training.FAULTS], n=1)
    raise NotFoundError(f"there is no fault {name!r}", attempt=f"Did you mean {near[0]!r}?" if near else "List them with lab --list")
