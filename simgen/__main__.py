"""`python -m simgen`: see `simgen.cli`."""

from simgen.cli import main

if __name__ == "__main__":
    main()
