"""The command `quantcheck`: what works on finished runs."""
