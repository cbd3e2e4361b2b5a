"""What turns documents into adapters. Imports `app` for settings, tables, store and engine."""
