import logging

import pytest

from nbflow.pools.quiet import hush, speak


def test_what_is_expected_is_left_out_until_it_is_told_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    loggers = [logging.getLogger(f"distributed.{name}") for name in ("scheduler", "worker.state_machine")]
    for logger in loggers:
        logger.addHandler(caplog.handler)  # whether Dask's own go on to the root depends on its configuration
        logger.propagate, before = False, logger.propagate
    try:
        hush()
        hush()
        _say(loggers)
        assert caplog.messages == ["another thing"] * 2
        speak()
        caplog.clear()
        _say(loggers)
        assert len(caplog.messages) == 4
    finally:
        for logger in loggers:
            logger.removeHandler(caplog.handler)
            logger.propagate = before


def _say(loggers: list[logging.Logger]) -> None:
    loggers[0].error("Task %s marked as failed because %d workers died while trying to run it", "t", 1)
    loggers[1].warning("Async instruction for <Task cancelled> ended with CancelledError")
    for logger in loggers:
        logger.error("another thing")
