"""Investigation of one prediction: the evidence, part by part."""
