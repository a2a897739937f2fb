"""`python -m hybrid`: see `hybrid.cli`."""

from hybrid.cli import app

if __name__ == "__main__":
    app()
