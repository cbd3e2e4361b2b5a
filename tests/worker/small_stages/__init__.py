"""Real stages that do little: for tests of the runner and the worker. Each runs in a process of its own."""
