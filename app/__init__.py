"""The service: what users talk to. Imports no torch and nothing of `worker`."""
