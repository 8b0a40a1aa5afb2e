"""The connection type `vitrine`: a form for a language model's address, with a Test button that asks it.

Airflow finds it through `vitrine-0.1.0.dist-info` beside this file. Every Airflow process loads this file, so it
imports next to nothing.
"""

from typing import Any

from airflow.sdk import BaseHook

CONNECTION_TYPE = "vitrine"
NUMBERS = (
    ("prompt_tokens", "Prompt tokens", "For rules, products and question together, estimated; empty for 3000."),
    ("max_tokens", "Answer tokens", "At most, reasoning included; empty for 500."),
    ("temperature", "Temperature", "0 to 2; empty for 0."),
    ("patience", "Patience", "Seconds for one answer, all attempts together; empty for 120."),
)


class LanguageModelHook(BaseHook):
    """What Airflow's Test button calls.

    Args:
        conn_id: The connection to test.
    """

    conn_name_attr = "conn_id"
    default_conn_name = "llm_default"
    conn_type = CONNECTION_TYPE
    hook_name = "Language model (Vitrine)"

    def __init__(self, conn_id: str = default_conn_name, **options: Any) -> None:
        super().__init__(**options)
        self.conn_id = conn_id

    def test_connection(self) -> tuple[bool, str]:
        """Ask the model for one word, as questions are asked. Returns whether it answered, and what to tell."""
        from include.answering.llm import check_connection
        from include.answering.llm_connection import LlmConnection
        from include.core.errors import VitrineError

        found = self.get_connection(self.conn_id)
        try:
            made = LlmConnection.from_fields(
                found.host, found.port, found.password, found.extra_dejson, schema=found.schema, login=found.login
            )
            return True, check_connection(made)
        except VitrineError as error:
            return False, str(error)


def provider_info() -> dict[str, Any]:
    """What Airflow asks of a package: its connection types, and how their forms look."""
    hook = f"{__name__}.LanguageModelHook"
    return {
        "package-name": "vitrine",
        "name": "Vitrine",
        "description": "A catalogue into a search engine.",
        "versions": ["0.1.0"],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": hook,
                "hook-name": LanguageModelHook.hook_name,
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"password": "API key", "host": "Address"},
                    "placeholders": {"host": "https://api.example.com/v1"},
                },
                "conn-fields": {
                    "model": {
                        "label": "Model",
                        "description": "Its name at that address; needed.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds for a whole reply, at most 3600; empty for 60.",
                        "schema": {"type": ["string", "null"]},
                    },
                    **{
                        name: {"label": label, "description": text, "schema": {"type": ["string", "null"]}}
                        for name, label, text in NUMBERS
                    },
                },
            }
        ],
    }
