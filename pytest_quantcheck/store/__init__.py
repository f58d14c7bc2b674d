"""Results kept on disk between runs: keys, files, locks."""
