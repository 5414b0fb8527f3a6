"""Files for others: case, weekly review, model card, CSV, SVG charts, Evidently report."""
