"""Strings from records: nothing here measures or decides."""
