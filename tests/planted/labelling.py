"""Faults of ``labelling``: who gets which image and what an answer does."""

from tests.planted.fault import Fault, in_module

FAULTS: list[Fault] = [
    *in_module(
        "labelling/desk.py",
        "labelling/test_desk.py labelling/test_naming.py rounds/test_audit.py",
        ("a sheet shows the audit reserve", "| set(audit.reserved(self.project).tolist())", ""),
        (
            "an undone audit image comes back as a query",
            "purpose = self._purposes([answer.image_id])[answer.image_id]",
            "purpose = Purpose.QUERY",
        ),
        ("an undone sweep floods the queue", "and answer.mode is not AnswerMode.SWEEP", ""),
        (
            "an undone change asks again",
            "if asked_again and self._store.answers.current(answer.image_id) is None:",
            "if asked_again:",
        ),
        ("a closed tab keeps its sheet", "self._sheets.release(tab)\n\n    # --- answers", "pass\n\n    # --- answers"),
        ("the painted image given up", "self._store.queue.release(tab, keep=held)", "self._store.queue.release(tab)"),
        (
            "sheets of classes out of use",
            "if class_id in in_use:",
            "if class_id is not None:",
        ),
        (
            "the counts of before",
            "known = self._counts\n        if known is not None and known[0] == key:",
            "known = self._counts\n        if known is not None:",
        ),
        (
            "names hidden by the rule of before",
            "known = self._names\n        if known is not None and known[0] == key:",
            "known = self._names\n        if known is not None:",
        ),
    ),
    *in_module(
        "labelling/sheets.py",
        "labelling/test_sheets.py labelling/test_desk.py",
        (
            "the same class again",
            "[class_id for class_id in by_class if class_id != after] or list(by_class)",
            "list(by_class)",
        ),
        ("leases that never end", "if holder != tab and now - spoke < silent", "if holder != tab"),
    ),
    *in_module(
        "labelling/desk.py",
        "labelling/test_leases.py",
        ("one is asked again oneself", "return self._store.people.answered_by(annotator, waiting)", "return set()"),
        ("a guess of what others said", "for item in items if item.purpose is not Purpose.AGAIN", "for item in items"),
    ),
]
