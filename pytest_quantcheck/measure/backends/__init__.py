"""How variants are loaded, one module a library."""
