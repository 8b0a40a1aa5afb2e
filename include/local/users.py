"""Who may log in to the Airflow on this machine: `make user` adds to it.

Airflow's SimpleAuthManager takes names and roles from its settings, which `include.local.server` makes of
`users.json` in Airflow's home, and passwords from a file there that it makes itself and that can be added to.
"""

import json
import os
import re
import secrets
from pathlib import Path

from include.core.errors import BadSettings
from include.core.files import write_json

ADMIN = "admin"
ROLES = ("viewer", "user", "op", "admin")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")  # neither of the separators of Airflow's setting, : and ,


def roles(home: Path) -> dict[str, str]:
    """Each user's role, by name."""
    try:
        added = json.loads((home / "users.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        added = {}
    return {ADMIN: ADMIN, **added}


def setting(home: Path) -> str:
    """What Airflow takes as `[core] simple_auth_manager_users`."""
    return ",".join(f"{name}:{role}" for name, role in roles(home).items())


def passwords(home: Path) -> dict[str, str]:
    """Each user's password; empty before Airflow's first start."""
    try:
        text = password_file(home).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return dict(json.loads(text)) if text.strip() else {}


def password_file(home: Path) -> Path:
    """Where Airflow keeps them."""
    return home / "simple_auth_manager_passwords.json.generated"


def add(home: Path, name: str, role: str) -> str:
    """Give a person a login, or another role; returns the password, which stays once it is made.

    Raises:
        BadSettings: The name or the role is none, or the user is `admin`, whose role stays.
    """
    if not NAME.fullmatch(name):
        raise BadSettings(
            f"NAME is {name!r}, which is not a name that Airflow takes.",
            "Write up to 64 letters, digits, dots, dashes, _ or @, such as make user NAME=ana ROLE=viewer.",
        )
    if role not in ROLES:
        raise BadSettings(f"ROLE is {role!r}, which is no role.", f"The roles are {', '.join(ROLES)}.")
    if name == ADMIN and role != ADMIN:
        raise BadSettings("The user admin stays an admin.", "Choose another NAME.")
    home.mkdir(parents=True, exist_ok=True)
    known = passwords(home)
    password = known.get(name) or secrets.token_urlsafe(12)
    before = os.umask(0o077)  # nobody else may read it, not even for a moment
    try:
        write_json(password_file(home), {**known, name: password})
    finally:
        os.umask(before)
    write_json(home / "users.json", {key: value for key, value in {**roles(home), name: role}.items() if key != ADMIN})
    return password
