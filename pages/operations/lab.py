"""Scenario lab :material/science:
What would the monitoring have said? Plant a known fault on a copy of this model's own log, at a strength, from a day on, and see day by day what would
have been said, and when. Days are drawn from the model's past or reference; each is judged as of its end, with only what had arrived by then. Beside it run
the same days without the fault: what is said about both is not the fault's doing. Your store is only read; every figure here is simulated.
"""

from observability.views import frame, lab, lab_job

here = frame.begin_model("lab")
scene, choice, why = lab.choose(here)
lab.run(scene, choice, why)

told = lab_job.told(choice)
if told is not None:
    lab.show(told)
elif lab_job.current() is None:
    lab.nothing_yet()
