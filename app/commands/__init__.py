"""The commands of `ingrain`, one file each. They talk to the service over its own API, as any client does."""
