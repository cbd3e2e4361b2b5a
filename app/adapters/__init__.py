"""The adapters feature: endpoints (HTTP), service (rules), schemas (wire), queries (SQL)."""
