"""The scripts that make the sample fleet, from real data and real models; the records come from the product's own logger."""
