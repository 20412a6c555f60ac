"""Handing the record out, for people with their own tools: tables, formats, whole files."""
