"""Torch code that every backend of causal language models shares."""

ENGINE_VERSION = 5
"""To be raised with any change after which a model may score differently: results that were kept
under another version are measured again."""
