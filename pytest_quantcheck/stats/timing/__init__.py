"""Verdicts on latencies, at looks while runs are timed."""
