"""The subcommands of `quantcheck`, one a file: `SUMMARY`, `add_arguments` and `run`."""
