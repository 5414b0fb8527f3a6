"""The scenario lab: what to plant, the job, what would have been said."""
