"""Map :material/scatter_plot:
Which predictions are alike, and where do errors gather? Each point is a prediction, placed by its inputs. Select points with the lasso:
their error rate is compared with that of the others, and the conditions that describe them best can become the slice of every page.
"""

from observability.dashboard import frame
from observability.dashboard.case import map_of_predictions

here = frame.begin_model_page("prediction_map")
with frame.loading_skeleton(480):
    map_of_predictions.map_section(here)
