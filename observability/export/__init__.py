"""Files for other people and tools: case, weekly review, model card, CSV, SVG charts, Evidently report."""
