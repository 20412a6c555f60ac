"""The store's schema over time, by Alembic, and the way to bring a store to the newest."""
