"""`python -m bodega` is `bodega`."""

from bodega.cli import main

if __name__ == "__main__":
    main()
