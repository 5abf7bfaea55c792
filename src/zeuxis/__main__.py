"""`python -m zeuxis` and the command `zeuxis`: Ctrl-C while they start is a sentence, too."""

import sys


def main() -> int:
    """Run one command and return its exit code, as `zeuxis.cli.main.main` does."""
    try:
        from zeuxis.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write(
            "zeuxis: stopped before anything was done; run the same command to start again\n"
        )
        return 130


if __name__ == "__main__":
    sys.exit(main())
