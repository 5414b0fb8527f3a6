"""How was the sample fleet made: which real data, which real models, what went through the product's own logger?"""
