"""The pages under pages/operations, except the scenario lab."""
