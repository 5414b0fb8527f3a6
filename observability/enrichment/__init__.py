"""Values computed ahead for stored predictions: explanations and expected errors."""
