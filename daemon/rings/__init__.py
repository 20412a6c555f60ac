"""The recorder's ring files: reading what applications recorded, each request once."""
