"""A small MCP server, written with the package's own decorators, as somebody else would."""

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

server = MCPServer("shelf")
shelf = {"count": 0}


@server.tool()
def put(many: int) -> str:
    """Put things on the shelf."""
    if many < 0:
        raise ToolError("too few")
    shelf["count"] += many
    return "done"


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def count() -> int:
    """How many things there are."""
    return shelf["count"]


@server.tool()
def wipe() -> str:
    """Remove everything."""
    shelf["count"] = 0
    return "gone"


if __name__ == "__main__":
    server.run("stdio")
