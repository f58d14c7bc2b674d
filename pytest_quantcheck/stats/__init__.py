"""From paired per-example numbers to a verdict: numpy and scipy, no models."""
