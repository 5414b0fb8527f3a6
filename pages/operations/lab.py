"""Scenario lab :material/science:
Plant a known fault in a copy of this model's log, of one of its training runs, or of its labelling records, and see when it is detected,
day by day or step by step. Days are drawn from the model's past or reference; each is judged as of its end, with only what had arrived by
then. The same days also run without the fault; a finding that both runs have is not attributed to the fault. Your store is only read;
every figure is simulated.
"""

from observability.dashboard import frame
from observability.dashboard.lab import lab, record_faults
from observability.dashboard.lab.job import LAB

here = frame.begin_model_page("lab")
of = lab.fault_kind()
if of == "predictions":
    scene, choice, why = lab.chosen_fault(here)
    lab.plant_prediction_fault(scene, choice, why)
    if (told := LAB.result(choice)) is not None:
        lab.fault_timeline_section(told)
    elif LAB.current() is None:
        lab.no_timeline_yet()
else:
    asked = record_faults.chosen_record_fault(here, of)
    record_faults.plant_record_fault(here, asked)
    if (said := LAB.result(asked)) is not None:
        record_faults.record_fault_result(asked, said)
    elif LAB.current() is None:
        record_faults.no_record_result_yet(of)
