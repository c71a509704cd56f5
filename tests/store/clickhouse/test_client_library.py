"""The client library is imported by whichever thread, and a process that is copied meanwhile is none the worse."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

# Forks while a thread is in the middle of an import, and prints how the child ended that imports the same.
FORKING: Final = """
import os, signal, sys, threading, time
from otel_measure.store.clickhouse import client_library

wanted, began = sys.argv[1], threading.Event()

class Slow:
    def find_spec(self, name, path, target=None):
        if name == wanted and not began.is_set():
            began.set()
            time.sleep(0.3)

sys.meta_path.insert(0, Slow())
use = {"clickhouse_connect": client_library.client_maker, "numpy": client_library.load_for_inserts}[wanted]
thread = threading.Thread(target=use)
thread.start()
began.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    use()
    __import__(wanted)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("module", ["clickhouse_connect", "numpy"])
def test_a_child_that_is_forked_during_an_import_has_the_module_too(module: str) -> None:
    """It waits for no thread of the parent: the parent forks when the import is done."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORKING, module]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
