"""What the words mean: variant, metric, limit, budget, verdict, record. Standard library only."""
