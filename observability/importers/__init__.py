"""Readers of other tools' files: MLflow, TensorBoard, Optuna, CodeCarbon, Zeus, Transformers, and reference and current tables."""
