"""One I/O library per module; each adapter fulfils a Protocol of `event_analytics.ports`."""
