"""The scenario lab, which plants faults to see whether they are found: the choice of a fault, the job, and its result."""
