"""Torch code that every backend of causal language models shares."""
