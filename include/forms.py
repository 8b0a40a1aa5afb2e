"""From settings to forms and back: what a Trigger form offers, what it sends, what the environment presets.

`python -m include.forms docs/operations.md` writes the reference of all settings into that page.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from include.errors import BadSettings
from include.redaction import shown
from include.settings import GROUPS, AnswerSettings, Group, PipelineSettings

T = TypeVar("T", bound=Group)
BEGIN = "<!-- settings: made by `make settings` -->"
END = "<!-- /settings -->"


def pipeline_settings(values: Mapping[str, Any]) -> PipelineSettings:
    """Build all settings of `train_and_index` from a Trigger form's flat names.

    Raises:
        BadSettings: A name is unknown or a value out of range; the message lists every one.
    """
    made = from_form(values, *GROUPS.values())
    return PipelineSettings.model_validate(dict(zip(GROUPS, made, strict=True)))


def parse(group: type[T], values: Mapping[str, Any]) -> T:
    """Validate one group's values.

    Raises:
        BadSettings: Naming each refused setting, its value, and what is allowed.
    """
    try:
        return group.model_validate(dict(values))
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])} = {_told(fault.get('input'))}: {fault['msg']}"
            for fault in error.errors()
        )
        raise BadSettings(f"Settings were refused: {reasons}.", "Correct them and trigger again.") from None


def _told(value: object) -> str:
    """A refused value for a message; a string may be an address with a password in it."""
    return repr(shown(value) if isinstance(value, str) else value)


def refuse_unknown(values: Mapping[str, Any], groups: Iterable[type[Group]], extra: Iterable[str] = ()) -> None:
    """Raise BadSettings if `values` has a name that no group (nor `extra`) knows."""
    known = {name for group in groups for name in group.model_fields} | set(extra)
    if unknown := sorted(set(values) - known):
        raise BadSettings(
            f"Unknown settings: {', '.join(unknown)}.",
            f"Known are: {', '.join(sorted(known))}. Trigger again with those.",
        )


def from_form(values: Mapping[str, Any], *groups: type[Group]) -> tuple[Any, ...]:
    """Build several groups from a Trigger form's flat names, in the order given.

    Raises:
        BadSettings: A name is unknown or a value out of range; the message lists every one.
    """
    refuse_unknown(values, groups)
    return tuple(parse(group, _only(group, values)) for group in groups)


def form_fields(groups: Iterable[type[Group]], only: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Keyword arguments of one Airflow `Param` for each setting: default, JSON schema, section.

    A default is taken from the environment variable `VITRINE_<NAME>` where it is set.

    Args:
        groups: Whose settings.
        only: Names to restrict the form to; None for all.

    Raises:
        BadSettings: An environment variable holds a value that its setting refuses.
    """
    fields: dict[str, dict[str, Any]] = {}
    for group in groups:
        defaults = parse(group, environment(group))
        properties = group.model_json_schema()["properties"]
        for name, info in group.model_fields.items():
            if only is not None and name not in only:
                continue
            fields[name] = {
                **_form_schema(properties[name]),
                "default": getattr(defaults, name),
                "title": info.title,
                "section": (group.__doc__ or "").strip(),
            }
    return fields


def _form_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Airflow's form shows an optional field only where `type` is a list with "null", not for `anyOf`."""
    flat = {key: value for key, value in schema.items() if key not in ("default", "title", "anyOf")}
    for option in schema.get("anyOf", []):
        if option["type"] != "null":
            flat |= {**option, "type": ["null", option["type"]]}
    return flat


def environment(group: type[Group]) -> dict[str, Any]:
    """The group's values that the environment sets, as `VITRINE_<NAME>`; empty ones do not count."""
    found = {name: os.environ.get(f"VITRINE_{name.upper()}", "") for name in group.model_fields}
    return {name: value for name, value in found.items() if value != ""}


def _only(group: type[Group], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in group.model_fields if name in values}


def reference() -> str:
    """All settings as Markdown tables, one a group: name, default, range or choices, meaning."""
    text = ""
    groups: list[type[Group]] = [*GROUPS.values()]
    groups.append(AnswerSettings)
    for group in groups:
        text += f"\n### {(group.__doc__ or '').strip()}\n\n"
        text += "| setting | default | allowed | meaning |\n|---|---|---|---|\n"
        for name, field in form_fields([group]).items():
            default = json.dumps(group.model_fields[name].default)
            meaning = field["description"].replace("|", "\\|")
            text += f"| `{name}` | `{default}` | {allowed(field)} | {meaning} |\n"
    return text


def allowed(field: Mapping[str, Any]) -> str:
    """A form field's choices or range in words."""
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "minimum" in field or "exclusiveMinimum" in field:
        low = f"{field['minimum']} to" if "minimum" in field else f"over {field['exclusiveMinimum']}, to"
        return f"{low} {field['maximum']}"
    return "text"


def main(page: Path) -> None:
    """Replace the part of `page` between the two markers."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{reference()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
