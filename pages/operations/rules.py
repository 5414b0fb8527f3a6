"""Rules and settings :material/rule:
The settings of this model: owner, costs, service level, and the threshold from which each rule is critical. A change is previewed on the
last eight weeks before it is saved; each rule shows how often its alerts were rated useful.
"""

from observability.dashboard import frame
from observability.dashboard.operations import alarm_rule_settings

here = frame.begin_model_page("rules")
settings = alarm_rule_settings.edited_settings(here)
if settings is not None:
    alarm_rule_settings.settings_change_preview(here, settings)
