"""What the local Airflow opens its database with: its processes import it by name, see `server.environment`.

SQLite lets one write at a time. How long another waits for it (5 s by itself, which suits nobody here) depends on who:

* The web server writes from its event loop, and from threads, whose transactions end only when the loop goes on.
  If the loop waits for such a transaction, nothing moves until the wait is over, for everybody. So it is short: the
  request ends in HTTP 500, and whoever sent it asks again (tasks, the Ask page and `AirflowClient` do).
* The scheduler ends if it cannot write. It waits long.
"""

import sys

WEB_SERVER_SECONDS = 1.0
OTHERS_SECONDS = 60.0

SQLITE = {"timeout": WEB_SERVER_SECONDS if "api-server" in sys.argv else OTHERS_SECONDS}
