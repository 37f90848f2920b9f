"""The kit's own fixtures. They are imported, since pytest knows the plugin only where nbflow has been installed anew."""

from nbflow.testing.plugin import nbflow_store as nbflow_store
from nbflow.testing.plugin import run_machine as run_machine
from nbflow.testing.plugin import virtual_clock as virtual_clock
