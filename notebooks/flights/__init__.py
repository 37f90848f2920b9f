"""The data of the sample project :mod:`flight_delays`."""
