"""The scripts that make the sample fleet: real data, real models, and records from the product's own logger."""
