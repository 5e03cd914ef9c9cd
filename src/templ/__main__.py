"""Lets ``python -m templ`` do what ``templ`` does."""

from templ.cli import main

if __name__ == "__main__":
    main()
