"""What the local Airflow opens its database with: its processes import it by name, see `server.environment`.

SQLite lets one write at a time. How long another waits for it (5 s by itself, which suits nobody here) depends on who:

* The web server writes from its event loop, and from threads, whose transactions end only when the loop goes on.
  If the loop waits for such a transaction, nothing moves until the wait is over, for everybody. So it is short: the
  request ends in HTTP 500, and whoever sent it asks again (tasks, the Ask page and `AirflowClient` do).
* The scheduler ends if it cannot write. It waits long. So do the commands of `make airflow`.

A transaction that has read and then writes does not wait at all: SQLite refuses it at once if another is writing.
Airflow begins such ones with a savepoint (a backfill does for each of its runs), so those take their turn first.
"""

import sqlite3
import sys
from typing import Any

WEB_SERVER_SECONDS = 1.0
OTHERS_SECONDS = 60.0


class Cursor(sqlite3.Cursor):
    """A cursor whose savepoints are inside a transaction that may write."""

    def execute(self, sql: str, *parameters: Any) -> "Cursor":
        """Run a statement; before a savepoint outside a transaction, begin one that waits for its turn to write."""
        if sql.startswith("SAVEPOINT") and not self.connection.in_transaction:
            super().execute("BEGIN IMMEDIATE")
        super().execute(sql, *parameters)
        return self


class Connection(sqlite3.Connection):
    """A connection with such cursors."""

    def cursor(self, factory: Any = Cursor) -> Any:
        """A cursor whose savepoints may write, unless the caller wants another."""
        return super().cursor(factory)


SQLITE: dict[str, Any] = (
    {"timeout": WEB_SERVER_SECONDS} if "api-server" in sys.argv else {"timeout": OTHERS_SECONDS, "factory": Connection}
)
