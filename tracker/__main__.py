"""``python -m tracker`` is ``speedup``."""

from tracker.cli import main

if __name__ == "__main__":
    main()
