"""Scenario lab :material/science:
What would the monitoring have said? Plant a known fault on a copy of this model's own log, of one of its training runs, or of its labelling, at a strength, and
see day by day (of a run: step by step) what would have been said, and when. Days are drawn from the model's past or reference; each is judged as of its end,
with only what had arrived by then. Beside it run the same days without the fault: what is said about both is not the fault's doing. Your store is only
read; every figure here is simulated.
"""

from observability.views import frame, lab, lab_job, lab_records

here = frame.begin_model("lab")
of = lab.kind()
if of == "predictions":
    scene, choice, why = lab.choose(here)
    lab.run(scene, choice, why)
    if (told := lab_job.told(choice)) is not None:
        lab.show(told)
    elif lab_job.current() is None:
        lab.nothing_yet()
else:
    asked = lab_records.choose(here, of)
    lab_records.run(here, asked)
    if (said := lab_job.told(asked)) is not None:
        lab_records.show(asked, said)
    elif lab_job.current() is None:
        lab_records.nothing_yet(of)
