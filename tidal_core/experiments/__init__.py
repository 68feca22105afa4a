"""Comparing strategies where the labels are known: the same training, scoring and asking as in the studio.

``datasets`` prepares images, ``frozen`` their features for protocols whose body does not train, ``protocol`` says how a
comparison goes, ``starts`` what is labelled first, ``oracle`` what asking could reach, ``runs`` executes one run of one
configuration (``machine``: on what), ``running`` executes many and goes on where it was, ``results`` reads them back,
``statistics`` compares, ``report`` and ``low_budget`` write tables.

``race`` puts two arms side by side for an audience, live: ``begin_race(project, home, strategy, seed=0)`` makes one,
``start``, ``stop`` and ``keep_going`` play it in a process of its own, ``read_race`` reads how far it is, with what can
be said by now (``sentences``); ``lead`` has the rule for that.

May import: the ground, ``engine``, ``strategies``, ``method``, ``store.experiments``, ``images`` (the digits), and of
``rounds`` the law of the audit sample (``audit``) alone. Never labelling, figures or Streamlit. Add here: a protocol in
``protocol``, a data set in ``datasets``.
"""
