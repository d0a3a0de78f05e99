"""A signal while a command is still starting ends it at once, and quietly."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import start_process

START = "from facesearch.__main__ import main; main()"
"""What the installed command does; `-m` imports modules of Python's own first."""

LINES = (1, 2, 5, 10, 20, 40, 80, 120, 160, 200, 240, 280)
"""After how many imports the signal is sent, from when signals are handled."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_imports_ends_the_command_quietly(
    number: signal.Signals, environment: dict[str, str], tmp_path: Path
) -> None:
    ended = set()
    for lines in LINES:
        command = [sys.executable, "-X", "importtime", "-c", START, "people", "--index", "none"]
        process = start_process(
            command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        seen, after = [], 0
        for line in process.stderr:
            seen.append(line)
            after += bool(after) or line.split("|")[-1].strip() == "facesearch.__main__"
            if after == lines + 1:  # the first import afterwards comes when the handlers are there
                break
        process.send_signal(number)
        stdout, stderr = process.communicate()
        said = [line for line in [*seen, *stderr.splitlines(keepends=True)] if not line.startswith("import time:")]
        assert not [line for line in said if "Traceback" in line or "Error" in line], said
        assert process.returncode in (128 + number, 3), "it was ended, or it had found no index"
        assert process.returncode == 3 or said in ([], ["facesearch: interrupted\n"])
        assert stdout == ""
        ended.add(process.returncode)
    assert 128 + number in ended
