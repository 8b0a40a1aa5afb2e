"""From settings to forms and back: what a Trigger form offers, what it sends, what the environment presets.

`python -m include.core.forms docs/operations.md` writes the reference of all settings into that page.
"""

import difflib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from include.core.answer_settings import AnswerSettings, QuestionsFileSettings, ServingSettings
from include.core.environment import VARIABLES
from include.core.errors import BadSettings
from include.core.pipeline_settings import GROUPS, PRESETS, START, PipelineSettings, PresetSettings
from include.core.redaction import shortened, shown
from include.core.settings import Group

T = TypeVar("T", bound=Group)
FIRST_SECTION = "Start here"
CODE = re.compile(r"`([^`]+)`")
PUNCTUATION = re.compile(r"[^\w\s]|_")
ESCAPED = r"\\\g<0>"
OPEN_SECTION = "Run Parameters"  # of this name, and of no other, Airflow's form shows the fields without a click
BEGIN = "<!-- settings: made by `make settings` -->"
END = "<!-- /settings -->"


def pipeline_settings(values: Mapping[str, Any]) -> PipelineSettings:
    """Build all settings of `train_and_index` from a Trigger form's flat names.

    A field that is filled in wins over the preset.

    Raises:
        BadSettings: A name is unknown or a value out of range; the message lists every one.
    """
    refuse_unknown(values, (PresetSettings, *GROUPS.values()))
    (start,) = from_form(_only(PresetSettings, values), PresetSettings)
    chosen = {name: value for name, value in values.items() if name not in _preset_names() or not _empty(value)}
    chosen = {**PRESETS[start.preset], **chosen}
    made = from_form(_without(chosen, PresetSettings), *GROUPS.values())
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
    """A refused value for a message: what is in it may be an address with a password."""
    if isinstance(value, list | dict):
        return f"a {type(value).__name__}"
    return repr(shown(value)) if isinstance(value, str) else shortened(repr(value))


def refuse_unknown(values: Mapping[str, Any], groups: Iterable[type[Group]], extra: Iterable[str] = ()) -> None:
    """Raise BadSettings if `values` has a name that no group (nor `extra`) knows."""
    known = {name for group in groups for name in group.model_fields} | set(extra)
    if unknown := sorted(set(values) - known):
        near = {name: difflib.get_close_matches(name, sorted(known)) for name in unknown}
        asked = [
            shown(name) + (f" (did you mean {' or '.join(near[name])}?)" if near[name] else "") for name in unknown
        ]
        raise BadSettings(
            f"Unknown settings: {', '.join(asked)}.",
            f"Trigger again with known ones. Known are: {', '.join(sorted(known))}.",
        )


def from_form(values: Mapping[str, Any], *groups: type[Group]) -> tuple[Any, ...]:
    """Build several groups from a Trigger form's flat names, in the order given.

    An emptied field has the value that the form began with; an optional one is then not set.

    Raises:
        BadSettings: A name is unknown or a value out of range; the message lists every one.
    """
    refuse_unknown(values, groups)
    return tuple(parse(group, _filled(group, _only(group, values))) for group in groups)


def form_fields(groups: Iterable[type[Group]], only: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Keyword arguments of one Airflow `Param` for each setting: default, JSON schema, section.

    A default is taken from the environment variable `VITRINE_<NAME>` where it is set. The fields of `START` come
    first and have to be filled in; any other may be emptied. One that a preset sets begins empty.

    Args:
        groups: Whose settings.
        only: Names to restrict the form to; None for all.

    Raises:
        BadSettings: An environment variable holds a value that its setting refuses.
    """
    fields: dict[str, dict[str, Any]] = {}
    for group in groups:
        chosen = environment(group)
        defaults = parse(group, chosen)
        for name, schema in _schemas(group).items():
            if only is not None and name not in only:
                continue
            default = None if name in _preset_names() and name not in chosen else getattr(defaults, name)
            fields[name] = {
                **(schema if name in START else _emptiable(schema)),
                "default": default,
                "title": group.model_fields[name].title,
                "section": FIRST_SECTION if name in START else f"Advanced: {group.section}",
                "description_md": described(f"{group.model_fields[name].description}{_hint(name, schema, default)}"),
            }
            if default is not None and "enum" in fields[name] and None in fields[name]["enum"]:
                fields[name]["values_display"] = {"null": f"default ({default})"}
    return {name: fields[name] for name in sorted(fields, key=_position)}


def described(text: str) -> str:
    """A text for a field's `description_md`: Airflow's form renders that one's Markdown, and shows `description` raw.

    Code becomes bold: the form's code has a background that covers the lines above and below it.
    """
    return CODE.sub(lambda code: f"**{PUNCTUATION.sub(ESCAPED, code[1])}**", text)


def _schemas(group: type[Group]) -> dict[str, dict[str, Any]]:
    """Each setting's JSON schema without default, title and description, flat: an optional one has its type alone."""
    made = {}
    for name, schema in group.model_json_schema()["properties"].items():
        options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
        left_out = ("default", "title", "description", "anyOf")
        made[name] = {key: value for key, value in {**schema, **options[0]}.items() if key not in left_out}
    return made


def _emptiable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a field that may be empty: null, or (over REST) an empty text.

    Airflow's form takes a field as optional, and marks it with no star, only where `type` is a list with "null".
    """
    made = {**schema, "type": ["null", schema["type"]]}
    if "enum" in schema:
        made["enum"] = [*schema["enum"], None]
    if "pattern" in schema:
        made["pattern"] = rf"^\s*$|(?:{schema['pattern']})"
    made.pop("minLength", None)
    return made


def _hint(name: str, schema: Mapping[str, Any], default: Any) -> str:
    """What may be filled in, since the form cuts a number to its range without a word, and what empty means."""
    if name in START:
        return ""
    hints = [f"Allowed: {allowed(schema)}"] if "maximum" in schema else []
    if name in _preset_names():
        values = ", ".join(f"{preset} {_shown(value)}" for preset, value in _by_preset(name).items())
        hints.append(f"empty: as the preset says ({values})")
    elif default is not None and schema["type"] != "boolean":
        hints.append(f"empty: {_shown(default)}")
    text = "; ".join(hints)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) else f"{value:,.10g}"


def _position(name: str) -> int:
    return START.index(name) if name in START else len(START)


def _preset_names() -> set[str]:
    return {name for values in PRESETS.values() for name in values}


def _by_preset(name: str) -> dict[str, Any]:
    """What each preset sets a field to."""
    (default,) = (group.model_fields[name].default for group in GROUPS.values() if name in group.model_fields)
    return {preset: values.get(name, default) for preset, values in PRESETS.items()}


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _filled(group: type[Group], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with the form's default where a field was emptied that is neither optional nor to be filled in."""
    chosen = environment(group)
    filled = {}
    for name, value in values.items():
        optional = group.model_fields[name].default is None
        if not _empty(value) or optional or name in START:
            filled[name] = value
        elif name in chosen:
            filled[name] = chosen[name]
    return filled


def environment(group: type[Group]) -> dict[str, Any]:
    """The group's values that the environment sets, as `VITRINE_<NAME>`; empty ones do not count."""
    found = {name: os.environ.get(f"VITRINE_{name.upper()}", "") for name in group.model_fields}
    return {name: value for name, value in found.items() if value != ""}


def _only(group: type[Group], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in group.model_fields if name in values}


def _without(values: Mapping[str, Any], group: type[Group]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in group.model_fields}


def reference() -> str:
    """All settings as Markdown tables, one a group: name, default, range or choices, meaning; then `VARIABLES`."""
    text = ""
    answering = (AnswerSettings, QuestionsFileSettings, ServingSettings)
    groups: list[type[Group]] = [PresetSettings, *GROUPS.values(), *answering]
    for group in groups:
        text += f"\n### {group.section.capitalize()}\n\n"
        text += "| setting | default | allowed | meaning |\n|---|---|---|---|\n"
        for name, schema in _schemas(group).items():
            info = group.model_fields[name]
            meaning = (info.description or "").replace("|", "\\|")
            text += f"| `{name}` | `{json.dumps(info.default)}` | {allowed(schema)} | {meaning} |\n"
    text += "\n### Environment variables\n\n| variable | default | meaning |\n|---|---|---|\n"
    for variable in VARIABLES:
        text += (
            f"| `{variable.name}` | {f'`{variable.default}`' if variable.default else 'none'} | {variable.meaning} |\n"
        )
    return text


def allowed(schema: Mapping[str, Any]) -> str:
    """A setting's choices or range in words."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if schema.get("type") == "boolean":
        return "`true`, `false`"
    if "maximum" in schema:
        low = f"{schema['minimum']:,} to" if "minimum" in schema else f"over {schema['exclusiveMinimum']:,}, to"
        return f"{low} {schema['maximum']:,}"
    return "text"


def main(page: Path) -> None:
    """Replace the part of `page` between the two markers."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{reference()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
