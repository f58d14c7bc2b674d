"""How long models take to answer."""
