"""Workloads: named sets of examples and how each is scored. Recipes until a test asks."""
