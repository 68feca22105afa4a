"""What the labelling page asks of a project: the next images, answers, undo, why an image is asked; its finish.

May import: the ground, ``store``, ``rounds`` (when one is due, how a queue is filled), ``strategies`` (what they say of
themselves), ``method`` (on arrays, never torch). Never server or engine.
Add here: a new kind of answer or of question that a person puts while labelling; its route goes to ``server.api``.
"""
