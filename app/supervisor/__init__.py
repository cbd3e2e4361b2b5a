"""The embedded installation: one process that starts the others, restarts what dies, and ends them all.

Knows commands, files, ports and signals; nothing of documents, jobs or adapters.
"""
