"""All faults of served predictions, by name."""

import difflib

from observability.core.errors import NotFoundError
from observability.simulation import faults_data, faults_outcomes, faults_requests, faults_service, faults_training
from observability.simulation.fault import ServingFault

FAULTS: dict[str, ServingFault] = {
    each.name: each for each in (*faults_data.FAULTS, *faults_outcomes.FAULTS, *faults_service.FAULTS, *faults_requests.FAULTS)
}


def find_fault(name: str) -> ServingFault:
    """The fault with that name. Raises NotFoundError, which suggests the most similar name."""
    found = FAULTS.get(name.replace("-", "_"))
    if found is not None:
        return found
    near = difflib.get_close_matches(name, [*FAULTS, *faults_training.FAULTS], n=1)
    raise NotFoundError(f"there is no fault {name!r}", attempt=f"Did you mean {near[0]!r}?" if near else "List them with lab --list")
