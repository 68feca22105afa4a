"""The presenter's view: full screen, large type, one thought a screen, next by key.

``screens`` lists the screens in their order; each is a function of an open project that draws one thought, and says
what is missing where its data are not there yet, with what brings them about. ``frame`` puts a screen on the page:
keys, address, size, what goes on by itself. Sentences are of ``figures.words``, numbers of the store; nothing is
staged.

Add here: a screen as a ``Screen`` of ``screens``; what it draws in a module beside it.
"""

from tidal_core.ui.present.frame import show

__all__ = ["show"]
