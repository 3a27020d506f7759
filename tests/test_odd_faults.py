"""What the tool that breaks builds in odd ways takes for clear, how it moves times and stops processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tools.odd_faults import move_times, stop, unclear


def test_a_refusal_is_clear_if_it_names_an_error_and_shows_no_traceback() -> None:
    assert unclear("Building DAG\nerror: /a: no space left\n") == []
    assert unclear("ERROR: failed to reproduce 'a'") == []
    assert unclear("error: a\nTraceback (most recent call last):\n") == ["a traceback"]
    assert unclear("") == unclear("Killed") == ["no error is named"]


def test_the_times_of_products_and_records_move_and_those_of_data_stay(tmp_path: Path) -> None:
    for name in ("build/shards/00.csv", "metrics/a.json", "dvc.lock", "data/a.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000, 1000))
    move_times(tmp_path, -100)
    moved = {path.name: path.stat().st_mtime for path in tmp_path.rglob("*") if path.is_file()}
    assert moved == {"00.csv": 900, "a.json": 900, "dvc.lock": 900, "a.csv": 1000}


@pytest.mark.timeout(60)
def test_chosen_processes_of_an_engine_stop_and_go_on() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    engine = subprocess.Popen([sys.executable, "-c", child])
    try:
        family = psutil.Process(engine.pid)
        while not (jobs := family.children()):
            time.sleep(0.05)
        stopping = threading.Thread(target=stop, args=(engine, lambda one: one.pid != engine.pid, 1.0))
        stopping.start()
        while jobs[0].status() != psutil.STATUS_STOPPED:
            time.sleep(0.05)
        assert family.status() != psutil.STATUS_STOPPED
        stopping.join()
        assert jobs[0].status() != psutil.STATUS_STOPPED
    finally:
        jobs[0].kill()
        engine.wait()
