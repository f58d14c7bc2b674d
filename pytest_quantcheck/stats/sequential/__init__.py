"""Verdicts before all examples are measured, at the error rates of those that wait."""
