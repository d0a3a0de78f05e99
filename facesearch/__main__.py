"""The command line, with signals handled from the start: the installed command and `python -m facesearch`."""

from facesearch.interrupts import end_at_once


def main() -> None:
    """Run the command line and end the process."""
    end_at_once()  # the imports take most of the time of a short command
    from facesearch.cli import main as run

    run()


if __name__ == "__main__":
    main()
