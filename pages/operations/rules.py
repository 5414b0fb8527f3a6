"""Rules and settings :material/rule:
What matters for this model: its owner, costs, service level, and the limit from which each rule says act. Before a change is kept it shows what it
would have said over the last eight weeks, each as of its own end; every rule shows how often its alarms were judged useful.
"""

from observability.dashboard import frame
from observability.dashboard.operations import rules

here = frame.begin_model("rules")
settings = rules.edited(here)
if settings is not None:
    rules.ask(here, settings)
