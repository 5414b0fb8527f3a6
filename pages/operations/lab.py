"""Scenario lab :material/science:
What would the monitoring have said? Plant a known fault on a copy of this model's own log, of one of its training runs, or of its labelling, at a strength, and
see day by day (of a run: step by step) what would have been said, and when. Days are drawn from the model's past or reference; each is judged as of its end,
with only what had arrived by then. Beside it run the same days without the fault: what is said about both is not the fault's doing. Your store is only
read; every figure here is simulated.
"""

from observability.dashboard import frame
from observability.dashboard.lab import job, lab, records

here = frame.begin_model("lab")
of = lab.kind()
if of == "predictions":
    scene, choice, why = lab.choose(here)
    lab.run(scene, choice, why)
    if (told := job.told(choice)) is not None:
        lab.show(told)
    elif job.current() is None:
        lab.nothing_yet()
else:
    asked = records.choose(here, of)
    records.run(here, asked)
    if (said := job.told(asked)) is not None:
        records.show(asked, said)
    elif job.current() is None:
        records.nothing_yet(of)
