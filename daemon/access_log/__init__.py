"""Access logs: following a file through rotation, and understanding its lines."""
