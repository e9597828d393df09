"""Serves the examples of a composed OpenAPI document by path, status and name: a platform on loopback.

    with SpecServer("manifold-read") as server:
        server.choose("getMarket", example="resolved_yes")      # by operationId ...
        server.choose("/v0/market/exMkt0009AbC", status=404)    # ... or for one concrete path
        ... ask server.url + "/v0/market/anything" ...

Which example answers, first match wins: a ``Prefer: code=429, example=limited`` header; a choice for the
concrete path; a choice for the operation; the example whose ``id`` or ``slug`` is the one in the path; the first
example of the lowest 2xx status. A required parameter that is missing gets a 400, an operation behind
a token a 403 without ``Authorization``. Scripted routes of ``LocalServer`` come before all of this.

``load_spec(name).example("getMarket", "binary")`` gives an example without a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.servers.local import Answer, LocalServer, Seen, json_reply, reply

SPECS = Path(__file__).parent.parent / "payloads" / "specs"
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One operation of the document (a GET, or a POST that only reads): its path and its answers by status."""

    name: str
    template: str
    pattern: re.Pattern[str]
    required: tuple[str, ...]
    needs_token: bool
    responses: Mapping[int, Mapping[str, Any]]

    def path(self, parameters: Mapping[str, str]) -> str:
        """A path this operation serves; a parameter that is not given is ``17``."""
        return re.sub(r"\{(\w+)\}", lambda found: parameters.get(found[1], "17"), self.template)

    def names(self, status: int = 200) -> tuple[str, ...]:
        """The names of the examples of one status, in the document's order."""
        return tuple(self._examples(status))

    def example(self, name: str | None = None, status: int = 200) -> Any:
        """The value of an example; the first one when no name is given. KeyError when there is none."""
        examples = self._examples(status)
        if not examples:
            raise KeyError(f"{self.name} has no example for status {status}")
        return examples[name if name is not None else next(iter(examples))]["value"]

    def headers(self, status: int) -> list[tuple[str, str]]:
        """Response headers the document shows an example of (``Retry-After``)."""
        described = self.responses.get(status, {}).get("headers", {})
        return [(name, str(what["example"])) for name, what in described.items() if "example" in what]

    def _examples(self, status: int) -> Mapping[str, Any]:
        content = self.responses.get(status, {}).get("content", {})
        examples: Mapping[str, Any] = content.get(JSON, {}).get("examples", {})
        return examples


@dataclass(frozen=True)
class Spec:
    """A composed document: its operations by operationId."""

    operations: Mapping[str, Operation]

    def example(self, operation: str, name: str | None = None, status: int = 200) -> Any:
        """The value of one example (see ``Operation.example``)."""
        return self.operations[operation].example(name, status)

    def match(self, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation that serves a path, and the path's parameters; literal paths come first."""
        for operation in sorted(self.operations.values(), key=lambda each: each.template.count("{")):
            found = operation.pattern.fullmatch(path)
            if found:
                return operation, found.groupdict()
        return None


@cache
def load_spec(name: str) -> Spec:
    """Read ``tests/payloads/specs/<name>.composed.yaml`` (once per process)."""
    document = yaml.load((SPECS / f"{name}.composed.yaml").read_text(encoding="utf-8"), yaml_loader())
    secured = bool(document.get("security"))
    operations = {}
    for template, methods in document["paths"].items():
        for method in ("get", "post"):
            if method in methods:
                operation = _operation(template, methods[method], secured)
                operations[operation.name] = operation
    return Spec(operations)


def yaml_loader() -> type[yaml.SafeLoader]:
    """The C loader when there is one: these documents are 100 to 200 kB."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _operation(template: str, how: Mapping[str, Any], secured: bool) -> Operation:
    pattern = "".join(
        f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{\w+\})", template)
    )
    required = [
        parameter["name"]
        for parameter in how.get("parameters", ())
        if parameter.get("in") == "query" and parameter.get("required")
    ]
    return Operation(
        name=how["operationId"],
        template=template,
        pattern=re.compile(pattern),
        required=tuple(required),
        needs_token=bool(how["security"]) if "security" in how else secured,
        responses={int(code): response for code, response in how["responses"].items() if str(code).isdigit()},
    )


@dataclass
class _Choice:
    status: int = 200
    example: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


class SpecServer(LocalServer):
    """A platform made of its own examples; see the module's text."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.spec = load_spec(name)
        self._choices: dict[str, _Choice] = {}
        self.route_others(self._from_spec)

    def choose(
        self,
        operation_or_path: str,
        *,
        status: int = 200,
        example: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """From now on answer this operation, or this one path, with this status and example.

        ``headers`` replace the document's of the same name (``{"Retry-After": "0"}``). Unknown operations and
        examples are refused here, so that a typing mistake does not become a puzzling answer.
        """
        operation = self._named(operation_or_path)
        operation.example(example, status)
        self._choices[operation_or_path] = _Choice(status, example, dict(headers or {}))

    def _named(self, operation_or_path: str) -> Operation:
        if operation_or_path.startswith("/"):
            found = self.spec.match(operation_or_path)
            if found is None:
                raise KeyError(f"no operation serves {operation_or_path}")
            return found[0]
        return self.spec.operations[operation_or_path]

    def _from_spec(self, seen: Seen) -> Answer:
        found = self.spec.match(seen.path)
        if found is None:
            return json_reply({"detail": "no such path in the document"}, 404)
        operation, parameters = found
        if operation.needs_token and "authorization" not in seen.headers:
            return _serve(operation, _Choice(403 if 403 in operation.responses else 401))
        missing = sorted(set(operation.required) - {name for name, _ in seen.query})
        if missing:
            return json_reply({"message": f"missing parameters: {missing}"}, 400)
        return _serve(operation, self._choice(operation, seen, parameters))

    def _choice(self, operation: Operation, seen: Seen, parameters: Mapping[str, str]) -> _Choice:
        if "prefer" in seen.headers:
            return _preferred(seen.headers["prefer"])
        for key in (seen.path, operation.name):
            if key in self._choices:
                return self._choices[key]
        for name in operation.names():
            value = operation.example(name)
            shown = {str(value.get("id")), str(value.get("slug"))} if isinstance(value, dict) else set()
            if shown & set(parameters.values()):
                return _Choice(example=name)
        return _Choice(min(code for code in operation.responses if 200 <= code < 300))


def _preferred(header: str) -> _Choice:
    wishes = dict(part.strip().partition("=")[::2] for part in header.split(","))
    return _Choice(int(wishes.get("code", "200")), wishes.get("example"))


def _serve(operation: Operation, choice: _Choice) -> Answer:
    try:
        value = operation.example(choice.example, choice.status)
    except KeyError:
        return reply(choice.status, b"", "text/plain")
    headers = {**dict(operation.headers(choice.status)), **choice.headers}
    body = json.dumps(value, separators=(",", ":")).encode()
    return reply(choice.status, body, "application/json; charset=utf-8", headers.items())
