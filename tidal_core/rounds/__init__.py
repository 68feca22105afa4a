"""A round from start to end: when it is due, what it goes through, the thread it runs in, the queue it leaves.

May import: the ground, ``store``, ``images``, ``engine``, ``method``, ``strategies``. Never labelling or server.
torch comes in with ``run``, which the worker imports in its own thread: the first page must not wait for it.
Add here: a stage of a round in ``run``, a rule for which images it scores in ``to_score``, for what is asked before
there is a model in ``seed_batch``; all that decides which images only measure is in ``audit``, which ``experiments``
may import, too.
"""
