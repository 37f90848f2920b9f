"""Turning Python into states. Pure: source in; ASL, and Python callables for its tasks, out. Knows the language only.

A flow is a Python function that is compiled, not run. It goes through four layers:

- **Text.** :mod:`source` finds the function's text and its syntax tree, and points at mistakes in it. :mod:`survey`
  looks the tree over once: what cannot be in a flow, and which nodes have a task call in them.
- **Values.** An expression is one of three things, tried in this order. A task call, or what decides about one, is a
  *form* (:mod:`forms`, :mod:`maps`) with states of its own. What can be written as data with ``{% $name %}`` in it is
  a *template* (:mod:`typed`), and so are the few operators of which the :mod:`kinds` of their operands prove that
  JSONata answers as Python does. All else is a *piece* of Python (:mod:`inline`, :mod:`pieces`): a task made of the
  flow's own text. :mod:`values` chooses among them, and sends the result where it belongs.
- **Statements.** :mod:`statements` has a short function for each kind, :mod:`catches` those about exceptions.
- **States.** :mod:`states` collects them by scope, connects each with what follows it, and decides at the end of a
  scope how its variables are read: by name, or from the scope's input.

What must hold is one sentence: a compiled flow does what the function does. Where JSONata cannot be proven to do it,
Python does it; and where that is no way either, the flow is refused, with a caret and a remedy. One difference is
meant: a value that goes from one step to another passes through JSON, in which a tuple within other data is a list.
"""
