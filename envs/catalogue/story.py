"""What the catalogue's templates write gold with: a `Story`.

A story looks up every API before its first call and remembers which ones it has looked up.
"""

from __future__ import annotations

from tooldojo.envs.catalogue.tables import Api, Area, Operation, Value, api_of, search
from tooldojo.envs.gold import Script
from tooldojo.envs.task import GoldTurn


class Story(Script):
    """A demonstration before the catalogue."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def discover(self, area: Area, operation: Operation, field: str = "") -> Api:
        """Search an API and read its parameters, once."""
        api = api_of(area, operation, field)
        if api.name in self._seen:
            return api
        self._seen.add(api.name)
        by = area.kind.name if operation is Operation.LIST else field
        keywords = " ".join(filter(None, (operation.value, area.noun, by)))
        if search(keywords)[:1] != [api]:
            raise ValueError(f"{keywords!r} does not find {api.name} first; reword its `about`")
        self.do(f"I need an API to {keywords}, so I search.", "search_apis", keywords=keywords)
        self.do(f"{api.name} fits; I read its parameters.", "describe_api", api=api.name)
        return api

    def invoke(self, thought: str, api: Api, *values: Value) -> None:
        """Call an API with its arguments in the order of its parameters."""
        arguments = dict(zip(api.params, values, strict=True))
        tool = "submit_api" if api.operation.mutates else "query_api"
        self.do(thought, tool, api=api.name, arguments=arguments)  # type: ignore[arg-type]

    def find(self, area: Area, name: str) -> None:
        """From a name to the id."""
        api = self.discover(area, Operation.FIND)
        self.invoke(f"The {area.noun} is called {name}; I ask for its id.", api, name)

    def change(self, because: str, area: Area, field: str, subject: str, value: Value) -> None:
        """Set a field."""
        api = self.discover(area, Operation.SET, field)
        why = f"{because}, so I set the {field} of {subject} to {value}."
        self.invoke(why, api, subject, value)

    def end(self, because: str, code: str, subject: str) -> list[GoldTurn]:
        """The closing line."""
        return self.close(f"{because}, so this ends here.", f"Result: {code} {subject}")
