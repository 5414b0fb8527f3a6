"""Values that are computed in advance for stored predictions, such as explanations and expected errors."""
