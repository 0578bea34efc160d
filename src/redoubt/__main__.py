"""`python -m redoubt` is the `redoubt` command."""

from redoubt.cli.main import main

if __name__ == "__main__":
    main()
