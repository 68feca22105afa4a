"""A process that is killed in the middle of one act on many images."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.helpers.serving import ROOT
from tests.helpers.tiny import tiny_project
from tidal_core.labelling import bulk
from tidal_core.projects import open_project
from tidal_core.records import Answer, AnswerKind
from tidal_core.store.acts import Act, ActKind

VICTIM = """
import os, signal
from tidal_core.labelling import bulk
from tidal_core.projects import open_project
from tidal_core.store import acts
def die(*_):  # every event is written, and the transaction has not ended
    os.kill(os.getpid(), signal.SIGKILL)
acts.out_of_queue = die
bulk.perform(open_project("tiny"), acts.Act(acts.ActKind.LABEL, class_id=2), where="split=pool")
"""


def test_an_act_whose_process_was_killed_has_changed_nothing_and_can_be_done_again() -> None:
    project = tiny_project()
    project.store.answers.record([Answer("before", AnswerKind.LABEL, 1, class_id=1)])
    project.close()

    victim = subprocess.run([sys.executable, "-c", VICTIM], cwd=ROOT, check=False)

    assert victim.returncode == -signal.SIGKILL
    project = open_project("tiny")
    assert [stored.answer.event_id for stored in project.store.answers.all()] == ["before"]
    done = bulk.perform(project, Act(ActKind.LABEL, class_id=2), where="split=pool")
    assert (done.changed, project.store.answers.counts_by_class()) == (60, {2: 60})
    project.close()
