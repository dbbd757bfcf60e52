"""`tooldojo` and `python -m tooldojo.training.cli`: up before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still loading ends it as quietly as later."""
    try:
        from tooldojo.training.cli.main import app
    except KeyboardInterrupt:
        if "--json" in sys.argv:
            print('{"ok": false, "error": "stopped", "kind": "KeyboardInterrupt", "go_on": null}')
        print("stopped", file=sys.stderr)
        sys.exit(130)
    app()


if __name__ == "__main__":
    main()
