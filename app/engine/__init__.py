"""The one client of any engine, embedded or vLLM, and the placement of adapters on it."""
