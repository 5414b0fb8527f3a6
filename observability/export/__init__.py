"""What leaves the product as a file: case, review, model card, tables, pictures, an Evidently report."""
