"""The embedded stack: everything Tallystream runs on, as child processes on 127.0.0.1, without Docker."""
