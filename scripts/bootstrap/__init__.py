"""Sets a checkout up on a bare machine and starts its commands. Standard library only."""
