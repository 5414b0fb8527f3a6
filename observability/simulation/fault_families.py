"""Collect the families of faults that the fault lab (the page that plants faults in data) can plant, and list all faults in the lab's
order.
"""

from collections.abc import Mapping

from observability.simulation.fault import DescribedFault
from observability.simulation.faults import FAULTS as PREDICTIONS
from observability.simulation.faults_augmentation import FAULTS as AUGMENTATION
from observability.simulation.faults_calls import FAULTS as OF_CALLS
from observability.simulation.faults_cleaning import FAULTS as CLEANING
from observability.simulation.faults_collection import FAULTS as COLLECTION
from observability.simulation.faults_controllers import FAULTS as CONTROLLERS
from observability.simulation.faults_data_audit import FAULTS as DATA_AUDITS
from observability.simulation.faults_deliveries import FAULTS as DELIVERIES
from observability.simulation.faults_device_answers import FAULTS as DEVICE_ANSWERS
from observability.simulation.faults_edge import FAULTS as EDGE
from observability.simulation.faults_energy import FAULTS as ENERGY
from observability.simulation.faults_exports import FAULTS as EXPORTS
from observability.simulation.faults_forms import FAULTS as FORMS
from observability.simulation.faults_frames import FAULTS as OF_FRAMES
from observability.simulation.faults_labelling import FAULTS as LABELLING
from observability.simulation.faults_selection import FAULTS as SELECTION
from observability.simulation.faults_storage import FAULTS as STORAGE
from observability.simulation.faults_studies import FAULTS as STUDIES
from observability.simulation.faults_training import FAULTS as TRAINING
from observability.simulation.faults_vendors import FAULTS as VENDORS

FRAMES = {**OF_FRAMES, **OF_CALLS, **DELIVERIES, **DATA_AUDITS, **DEVICE_ANSWERS}
"""Faults that are planted in the frames that one analyzer reads (frame_replay.py)."""
FAMILIES: tuple[Mapping[str, DescribedFault], ...] = (
    PREDICTIONS,
    TRAINING,
    LABELLING,
    COLLECTION,
    VENDORS,
    FORMS,
    EDGE,
    EXPORTS,
    CONTROLLERS,
    AUGMENTATION,
    STORAGE,
    STUDIES,
    ENERGY,
    CLEANING,
    SELECTION,
    FRAMES,
)


def every_fault() -> list[DescribedFault]:
    """Every fault that the lab can plant."""
    return [fault for family in FAMILIES for fault in family.values()]
