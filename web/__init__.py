"""The read-only web app: the newest snapshot, and any past one, as HTML and JSON."""
