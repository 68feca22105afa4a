"""What the labelling page asks of a project: the next images, answers, undo, and why an image is asked.

May import: the ground, ``store``, ``rounds`` (when one is due, how a queue is filled), ``strategies`` (what they say of
themselves). Never server or engine.
Add here: a new kind of answer or of question that a person puts while labelling; its route goes to ``server.api``.
"""
