"""`python -m tooldojo.training.cli`."""

from tooldojo.training.cli.main import main

main()
