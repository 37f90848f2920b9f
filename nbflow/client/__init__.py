"""The Python door: state machines and executions as objects. Everything it does, it asks of the service."""
