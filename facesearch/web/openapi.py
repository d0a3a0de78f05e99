"""The description of the REST API: what FastAPI knows of it, and the schemas of answers."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from fastapi import FastAPI

from facesearch.web.asked import PHOTO_PATHS, Question
from facesearch.web.people import STATEMENT

__all__ = ["describe"]

_REF = "#/components/schemas/{model}"
_JSON, _PROBLEM = "application/json", "application/problem+json"
_COARSE = {
    "similarity": "Rounded to three digits.",
    "distance": "Rounded to three digits.",
    "similarity_to_person": "Rounded to three digits.",
    "fmr": "Rounded to one significant digit.",
    "expected_false_hits": "Rounded to one significant digit.",
}
_ID = {"type": "integer", "minimum": 1}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_ID = {"type": ["integer", "null"], "minimum": 1}
_BOX = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
_PERSON = {
    "type": "object",
    "required": ["number", "name", "aliases", "external_id", "born", "ignored", "faces", "photos", "first", "last"],
    "properties": {
        "number": _ID, "name": _MAYBE_TEXT, "aliases": {"type": "array", "items": {"type": "string"}},
        "external_id": _MAYBE_TEXT, "born": _MAYBE_TEXT, "ignored": {"type": "boolean"},
        "faces": {"type": "integer", "minimum": 0}, "photos": {"type": "integer", "minimum": 0},
        "first": {"type": "string"}, "last": {"type": "string"},
        "cover": {**_MAYBE_ID, "description": "The id of the face that stands for the person."},
        "years": {"type": "object", "additionalProperties": {"type": "integer"}},
        "beside": {"type": "array", "items": {"type": "object"}},
    },
}  # fmt: skip
_SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "What is wrong, and what to do next (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    },
    "Answer": {
        "type": "object",
        "required": ["contract", "queries", "threshold", "index", "remarks"],
        "properties": {
            "contract": {"const": 2},
            "threshold": {"type": ["number", "null"], "description": "Rounded to three digits."},
            "index": {"type": "object"},
            "remarks": {"type": "array", "items": {"type": "string"}},
            "queries": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["face", "faces", "searched", "person", "excess", "summary", "hits"],
                    "properties": {
                        "person": _MAYBE_ID, "name": {"type": "string"}, "searched": {"type": "integer"},
                        "summary": {"type": "string"},
                        "hits": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
                    },
                },
            },
        },
    },
    "Faces": {
        "type": "object",
        "required": ["path", "faces"],
        "properties": {
            "path": {"type": "string"},
            "faces": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["face", "box", "det_score", "person", "name", "similarity", "verdict"],
                    "properties": {
                        "face": _ID, "box": _BOX, "person": _MAYBE_ID, "name": _MAYBE_TEXT, "face_id": _MAYBE_ID,
                        "similarity": {"type": ["number", "null"]}, "verdict": _MAYBE_TEXT,
                    },
                },
            },
        },
    },
    "Comparison": {
        "type": "object",
        "required": ["model", "threshold", "same", "best", "pairs"],
        "properties": {
            "same": {"type": "boolean"}, "threshold": {"type": "number"}, "model": {"type": "string"},
            "best": {"type": "object"}, "pairs": {"type": "array", "items": {"type": "object"}},
        },
    },
    "Person": _PERSON,
    "People": {
        "type": "object",
        "required": ["total", "people"],
        "properties": {
            "total": {"type": "integer"},
            "people": {"type": "array", "items": {"$ref": "#/components/schemas/Person"}},
        },
    },
    "Photo": {
        "type": "object",
        "required": ["photo_id", "path", "width", "height", "date", "date_source", "date_precision", "faces"],
        "properties": {
            "photo_id": _ID, "path": {"type": "string"}, "width": {"type": "integer"}, "height": {"type": "integer"},
            "date": {"type": "string"},
            "faces": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["face_id", "box", "det_score", "quality", "person", "name"],
                    "properties": {
                        "face_id": _ID, "box": _BOX, "person": _MAYBE_ID, "name": _MAYBE_TEXT,
                        "det_score": {"type": ["number", "null"]}, "quality": {"type": ["number", "null"]},
                    },
                },
            },
        },
    },
    "Action": {
        "type": "object",
        "required": ["action"],
        "properties": {"action": {**_MAYBE_ID, "description": "The number with which it can be taken back."}},
    },
}  # fmt: skip
_ANSWERS = {
    ("/api/v1/search", "post"): "Answer",
    ("/api/v1/people/{person}/photos", "get"): "Answer",
    ("/api/v1/compare", "post"): "Comparison",
    ("/api/v1/faces", "post"): "Faces",
    ("/api/v1/people", "get"): "People",
    ("/api/v1/people/{person}", "get"): "Person",
    ("/api/v1/photos/{photo}", "get"): "Photo",
    ("/api/v1/statements", "post"): "Action",
    ("/api/v1/photos/{photo}/faces", "post"): "Action",
    ("/api/v1/review/{question}", "post"): "Action",
}
"""The schema of an answer by path and method."""
_BINARY = {
    "/api/v1/photos/{photo}/picture": "image/jpeg",
    "/api/v1/faces/{face}/picture": "image/jpeg",
    "/api/v1/photos/{photo}/original": "application/octet-stream",
    "/api/v1/photos/zip": "application/zip",
    "/api/v1/events": "text/event-stream",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of the API, complete and without references to other servers."""
    from fastapi.openapi.utils import get_openapi

    found = get_openapi(
        title="facesearch", version="1", openapi_version="3.1.0", routes=app.routes,
        description="Find a person in a library of photos. Errors are problem details (RFC 9457), one line each.",
    )  # fmt: skip
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_SCHEMAS, Hit=_hit())
    for name, schema in (
        ("Question", Question.model_json_schema(ref_template=_REF)),
        ("Statement", STATEMENT.json_schema(ref_template=_REF)),
    ):
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"token": []}]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation)
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Fill in what FastAPI does not know: bodies that are read by hand, the schemas of answers, and problems."""
    responses = operation["responses"]
    responses.pop("422", None)
    responses["default"] = {
        "description": "A problem", "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }  # fmt: skip
    done = next((code for code in responses if code.startswith("2")), None)
    if done is not None and (path, method) in _ANSWERS:
        schema = {"$ref": f"#/components/schemas/{_ANSWERS[path, method]}"}
        responses[done]["content"] = {_JSON: {"schema": schema}}
    if done is not None and path in _BINARY:
        responses[done]["content"] = {_BINARY[path]: {"schema": {"type": "string", "format": "binary"}}}
        if path.endswith("/picture"):
            responses["304"] = {"description": "The picture is the one that the request names in `If-None-Match`"}
    if path in PHOTO_PATHS and method == "post":
        operation["requestBody"] = _photos_and_question()
    if path == "/api/v1/statements" and method == "post":
        operation["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Statement"}}},
        }
    if path == "/api/v1/session" and method == "post":
        key = {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}}
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": key}}}


def _photos_and_question() -> dict[str, Any]:
    question = {"$ref": "#/components/schemas/Question"}
    form = {
        "type": "object",
        "properties": {
            "photo": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": 20},
            "question": question,
        },
    }
    return {"required": True, "content": {_JSON: {"schema": question}, "multipart/form-data": {"schema": form}}}


def _hit() -> dict[str, Any]:
    """Return the contract of a hit on the command line, with what is coarser here."""
    schema: dict[str, Any] = json.loads(files("facesearch.render").joinpath("hit.schema.json").read_text("utf-8"))
    schema.pop("$schema", None)
    for name, coarser in _COARSE.items():
        schema["properties"][name]["description"] += f" {coarser}"
    return schema
