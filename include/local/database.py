"""What the local Airflow opens its database with: its processes import it by name, see `server.environment`."""

# Seconds that one of them waits for another that writes. SQLite's own 5 s are too few when several people ask at once.
SQLITE = {"timeout": 60.0}
