"""Investigates one prediction: collects the evidence, part by part."""
