"""The API's own OpenAPI description as plain rows, for a page without any script.

Summaries and descriptions are shown in the language of the page. The description itself, keys,
paths and the names of types stay English: they are for programs.
"""

from __future__ import annotations

import json

from django.utils.translation import gettext as _

from .api import api

_SENT_AS = {
    "multipart/form-data": "-F",
    "application/x-www-form-urlencoded": "-d",
}


def operations(base: str) -> list[dict]:
    """`[{id, method, path, summary, text, key, parameters, answers, curl}]`, in the API's order.

    base  address that a call's path follows in the copyable lines
    """
    schema = api.get_openapi_schema()
    found = []
    for path, calls in schema["paths"].items():
        short = path.removeprefix("/api/v1")
        for method, call in calls.items():
            parameters = [_parameter(p) for p in call.get("parameters", ())]
            fields, kind = _body(call, schema)
            key = bool(call.get("security"))
            found.append(
                {
                    "id": call["operationId"],
                    "method": method.upper(),
                    "path": short,
                    "summary": _told(call.get("summary", "")),
                    "text": _told(call.get("description", "")),
                    "key": key,
                    "parameters": parameters + fields,
                    "answers": [_answer(code, a) for code, a in call["responses"].items()],
                    "curl": _curl(base + short, method.upper(), key, fields, kind),
                }
            )
    return found


def shapes() -> list[dict]:
    """`[{name, text, fields}]` of every object that the answers hold."""
    schema = api.get_openapi_schema()
    return [
        {
            "name": name,
            "text": _told(part.get("description", "")),
            "fields": _fields(part, "")
            or [{"name": "", "kind": _kind(part), "place": "", "needed": True, "text": ""}],
        }
        for name, part in schema["components"]["schemas"].items()
    ]


def _told(text: str) -> str:
    return _(text) if text else ""


def _place(name: str) -> str:
    found = {"path": _("path"), "query": _("query"), "form": _("form"), "header": _("header")}
    return found.get(name, name)


def _parameter(given: dict) -> dict:
    return {
        "name": given["name"],
        "place": _place(given["in"]),
        "kind": _kind(given["schema"]),
        "needed": given.get("required", False),
        "text": _told(given.get("description") or given["schema"].get("description", "")),
    }


def _body(call: dict, schema: dict) -> tuple[list[dict], str]:
    content = call.get("requestBody", {}).get("content", {})
    for kind, part in content.items():
        return _fields(_resolve(part["schema"], schema), "form"), kind
    return [], ""


def _fields(part: dict, place: str) -> list[dict]:
    needed = part.get("required", ())
    return [
        {
            "name": name,
            "place": _place(place),
            "kind": _kind(field),
            "needed": name in needed,
            "text": _told(field.get("description", "")),
        }
        for name, field in part.get("properties", {}).items()
    ]


def _resolve(part: dict, schema: dict) -> dict:
    if "$ref" in part:
        return schema["components"]["schemas"][part["$ref"].rsplit("/", 1)[-1]]
    return part


def _kind(part: dict) -> str:
    """A type in words: `integer, 1 to 500`, `list of ChipResult`, `"done" | "failed"`."""
    if "$ref" in part:
        return part["$ref"].rsplit("/", 1)[-1]
    if "enum" in part:
        return " | ".join(json.dumps(value) for value in part["enum"])
    if "const" in part:
        return json.dumps(part["const"])
    if "anyOf" in part:
        return f" {_('or')} ".join(_kind(option) for option in part["anyOf"])
    if part.get("type") == "array":
        return _("list of %(kind)s") % {"kind": _kind(part.get("items", {}))}
    if part.get("format") in ("binary", "date-time"):
        return {"binary": _("file"), "date-time": _("date and time")}[part["format"]]
    kind = part.get("type", _("any"))
    if kind == "object" and isinstance(part.get("additionalProperties"), dict):
        return _("object of %(kind)s") % {"kind": _kind(part["additionalProperties"])}
    if "minimum" in part and part.get("maximum", 2**62) < 2**31:
        least, most = part["minimum"], part["maximum"]
        return _("%(kind)s, %(least)s to %(most)s") % {"kind": kind, "least": least, "most": most}
    return kind


def _answer(code: str | int, given: dict) -> dict:
    content = given.get("content", {})
    schema = next(iter(content.values()))["schema"] if content else {}
    kind = _kind(schema) if schema else ""
    name = schema.get("$ref", schema.get("items", {}).get("$ref", "")).rsplit("/", 1)[-1]
    return {"code": code, "kind": kind, "shape": name}


def _curl(address: str, method: str, key: bool, fields: list[dict], kind: str) -> str:
    parts = ["curl"]
    if method != "GET" and not fields:
        parts.append(f"-X {method}")
    if key:
        parts.append('-H "X-API-Key: $KEY"')
    for field in fields:
        if field["needed"]:
            value = "@one.jpg" if _("file") in field["kind"] else "…"
            parts.append(f"{_SENT_AS.get(kind, '-F')} {field['name']}={value}")
    address = address.replace("{token}", "TOKEN").replace("{key}", "CHIP")
    return " ".join([*parts, address])
