"""What a definition in the Amazon States Language means.

This room knows the language and nothing else: no clock, no chance, no loop, no file. What an expression may look
at, and where time and random bits come from, is handed to it in a :class:`~nbflow.language.values.Scope`.

**From text to model.** :mod:`model` has one frozen class per state type. :mod:`validate` turns a text into it, or
lists all of its mistakes at once, in AWS's words; :mod:`sites`, :mod:`rules`, :mod:`graph` and
:mod:`integrations` are its tables.

**Expressions.** A state speaks one of two query languages:

==================  ==========================================  =============================================
what                JSONPath                                    JSONata
==================  ==========================================  =============================================
name a value        :mod:`paths`: ``$.a[0]``, ``$$.State``      :mod:`jsonata`: ``{% $states.input.a[0] %}``
compute one         :mod:`intrinsics`: ``States.Format(…)``     :mod:`jsonata`: ``{% $sum($prices) * 1.2 %}``
fill in a template  :mod:`payload`: ``{"id.$": "$.order.id"}``  :mod:`payload`: ``{"id": "{% $id %}"}``
choose a way        :mod:`choice`: ``{"Variable": …}``          :mod:`choice`: ``{"Condition": …}``
==================  ==========================================  =============================================

:mod:`functions` holds what AWS's functions compute, for both languages, and :mod:`bounds` what keeps a JSONata
expression from running away.

**Failures are values.** Evaluation answers a JSON value or a :class:`~nbflow.language.values.Failure`, with the
error name and the sentence that AWS gives. The ``check`` functions say what is wrong with a text before it runs;
they answer None for a text that parses.
"""
