"""The only room with a clock, a loop and a thread: facts arrive, a turn decides, remembers, and only then acts.

A *turn* takes the facts that have arrived for all executions, steps each machine, appends what they decided in **one**
transaction (the group commit), publishes it on the bus, and carries out the orders. Nothing is done in the world before
the record that ordered it is durable; a failed append is tried again unchanged, and no later step overtakes it.

An engine runs what it started. Of another engine's execution it can only record the end (``adopt``): to go on with it
would take a lease, so that two engines never think that it is theirs.

The loop is ordinary asyncio in a thread of its own (a notebook's kernel loop is busy while a cell runs).
``turn`` itself is an ordinary function, so that tests run the engine on a virtual clock without the thread.
"""
