"""Faults of ``rounds``: the audit sample and who is asked again."""

from tests.planted.fault import Fault, in_module

FAULTS: list[Fault] = [
    *in_module(
        "rounds/audit.py",
        "rounds/test_audit.py rounds/test_audit_sample.py",
        (
            "audit images trained on",
            "labels.where(~np.isin(labels.image_ids, project.store.answers.images_asked_for(Purpose.AUDIT)))",
            "labels",
        ),
        (
            "the reserve ranked",
            "np.setdiff1d(project.store.images.unlabelled_ids(), reserved(project), assume_unique=True)",
            "project.store.images.unlabelled_ids()",
        ),
        (
            "labels that came along in the sample",
            "& (drawn > layer.begin) & ~history.came_labelled",
            "& (drawn > layer.begin)",
        ),
        (
            "what was answered before counts as unseen",
            "& ~history.came_labelled & ~gone_before & can_be_asked",
            "& ~history.came_labelled & can_be_asked",
        ),
        ("a new import does not end the sample", "counts &= place < place[to_ask][is_new].min(initial=np.inf)", "pass"),
        (
            "a larger share goes on with the old sample",
            "Layer(reserved_until, share, last_seq, share)",
            "Layer(0.0, share, 0, share)",
        ),
        ("the share to a whole gap", "_place(number, exact) - _place(number - 1, exact)", "round(1 / share)"),
        (
            "an audit image forgotten once taken back",
            "Purpose.AUDIT if Purpose.AUDIT in history else history[-1]",
            "history[-1]",
        ),
    ),
    *in_module(
        "rounds/again.py",
        "labelling/test_leases.py",
        ("the double share is never full", "if n < settings.people_per_image", "if n <= settings.people_per_image"),
        ("what a person answered stays hidden", " - project.store.people.answered_by(annotator, waiting)", ""),
    ),
]
