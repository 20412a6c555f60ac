"""The record: tables, the snapshot document and its histograms, writing and reading them."""
