"""One suite for any engine, over HTTP and with the real client: what holds on one engine holds on the other."""
