"""What the labelling page asks of a project: the next images, answers, undo, why an image is asked; its finish.

``autopilot`` answers from known classes instead of a person. An open project's is ``Studio.autopilot(project)``:
``start(Plan(per_second=5, mistakes=0.05, seed=1))`` begins or changes speed, ``pause()`` stops, ``state()`` says what
it does and what it has answered; ``autopilot.why_not(desk)`` says in words why it cannot.

May import: the ground, ``store``, ``rounds`` (when one is due, how a queue is filled), ``strategies`` (what they say of
themselves), ``method`` (on arrays, never torch). Never server or engine.
Add here: a new kind of answer or of question that a person puts while labelling; its route goes to ``server.api``.
"""
