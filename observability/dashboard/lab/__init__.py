"""The scenario lab: choice of a fault, the job, and its result."""
