"""The pages under pages/training."""
