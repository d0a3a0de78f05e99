"""The OpenAPI description of the REST API: complete, and true of the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from web_server import TOKENS, Server, serving

from facesearch import Index
from facesearch.web.app import Doors, make_app
from facesearch.web.names import HostNames
from facesearch.web.rights import Keyring, Tokens
from facesearch.web.serving import Serving

EXAMPLES = 6
"""Requests to each operation."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hostile: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "uploads").mkdir()
    with serving(folder, hostile / "index", "--uploads", folder / "uploads") as server:
        yield server


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    return server.get("/api/v1/openapi.json")


def test_it_is_openapi_and_names_no_other_server(description: Any) -> None:
    import schemathesis

    assert description["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(description).validate()
    assert "servers" not in description
    assert "http://" not in str(description)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_leads_somewhere(description: Any) -> None:
    schemas = description["components"]["schemas"]
    found = set(references(description))
    assert found
    assert {reference.removeprefix("#/components/schemas/") for reference in found} <= set(schemas)


def test_every_route_is_described_with_its_answers(description: Any, tmp_path: Path, hostile: Path) -> None:
    with Index.open(hostile / "index") as index:
        served = Serving(index, Keyring(Tokens({})))
        app: Any = make_app(served, Doors(names=HostNames(), tokens=Tokens({}), port=1))
        served.close()
    while not hasattr(app, "routes"):
        app = app._app
    routes = {
        (route.path, method.lower())
        for router in (app, *(getattr(route, "original_router", None) for route in app.routes))
        for route in getattr(router, "routes", ())
        if getattr(route, "include_in_schema", False)
        for method in route.methods
    }
    described = {(path, method) for path, methods in description["paths"].items() for method in methods}
    assert routes == described
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            assert "default" in operation["responses"]
            assert any(code.startswith("2") for code in operation["responses"])


def test_the_hit_says_that_similarities_are_rounded(description: Any) -> None:
    properties = description["components"]["schemas"]["Hit"]["properties"]
    for name in ("similarity", "distance", "similarity_to_person"):
        assert properties[name]["description"].endswith("Rounded to three digits.")


@pytest.mark.thorough
def test_requests_of_every_kind_are_answered_as_described(server: Server, description: Any) -> None:
    """Valid and invalid requests find no error of the server, and no answer that is not described."""
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
        response_schema_conformance,
    ]  # fmt: skip
    schema = schemathesis.openapi.from_dict(description)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    asked = [one for one in operations if one.path not in ("/api/v1/events", "/api/v1/refresh")]
    assert len(asked) == len(operations) - 3, "a stream has no end, and a run is a process"
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    for operation in asked:
        for mode in modes:
            if not generates(operation, mode):
                continue

            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                case.call_and_validate(
                    base_url=f"http://127.0.0.1:{server.port}", headers={"Authorization": f"Bearer {TOKENS['owner']}"},
                    checks=checks,
                )  # fmt: skip

            ask()
    assert server.log == f"facesearch: serving http://127.0.0.1:{server.port}/\n"


def generates(operation: Any, mode: Any) -> bool:
    """Whether there is anything that can be wrong in a request, if it is to be wrong."""
    import schemathesis

    return mode is schemathesis.GenerationMode.POSITIVE or bool(
        operation.body or operation.query or operation.path_parameters
    )
