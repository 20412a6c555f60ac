"""The schema, one step a module."""
