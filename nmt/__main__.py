"""`python -m nmt` is `nmt`."""

from nmt.cli import run

if __name__ == "__main__":
    run()
