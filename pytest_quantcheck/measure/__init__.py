"""Loading variants and scoring workloads on them: the only room that knows torch."""
