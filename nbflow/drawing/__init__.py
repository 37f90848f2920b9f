"""State machines and their runs as pictures and text.

Everything here is a pure function of a definition and of the records of a run: no clock, no file, no front end.

**One picture, many places.** :mod:`layout` says where the boxes and edges are; :mod:`svg` draws them. The same SVG is
the static picture in a notebook and, updated by its class names, the live one in the panel. :mod:`text` is the same
for a terminal, :mod:`html` what a notebook keeps when nothing runs any more.

**One fold, many readers.** A :class:`~nbflow.drawing.board.Board` takes the records of a run in and says of every
state of the definition how it stands: one answer a state, however many iterations of a Map it has been visited in.

Below these: :mod:`flow` reads the transitions of a definition, :mod:`words` its words, :mod:`notes` says in brief how
a state stands, :mod:`style` has the colours; :mod:`layers`, :mod:`places` and :mod:`cells` know graphs and nothing
else.
"""
