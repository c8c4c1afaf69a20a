"""`python -m hpcbrew`, the same as `hpcbrew`."""

from hpcbrew.cli import main

if __name__ == "__main__":
    main()
