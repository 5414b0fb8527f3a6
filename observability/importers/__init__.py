"""Readers of other tools' files: MLflow, TensorBoard, Optuna, CodeCarbon, Transformers, and reference and current tables."""
