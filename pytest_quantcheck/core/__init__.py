"""What the words mean: variant, metric, limit, budget, estimate, verdict, record. Standard library only."""
