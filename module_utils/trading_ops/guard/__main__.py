"""`python3 -m trading_ops.guard`, as the guard's unit calls it."""

from .service import main

if __name__ == "__main__":
    main()
