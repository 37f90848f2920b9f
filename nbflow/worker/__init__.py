"""Activity workers: a Python function does the tasks of an activity, here or on another machine.

A worker asks for a task and waits up to a minute for one (AWS, GetActivityTask), calls the function with the task's
input, and sends what it returned or raised; meanwhile it sends heartbeats. All of that is outbound: a worker needs the
API's address and keys, and nothing can be sent to it.

:mod:`.work` does one task, and knows of no API. :mod:`.line` is the way to the API: over HTTP, or into this process; it
sorts all that can go wrong on it into three. :mod:`.worker` is the loop around them, :mod:`.serve` puts it together
(``nf.serve_activity``, ``nbflow worker``).
"""
