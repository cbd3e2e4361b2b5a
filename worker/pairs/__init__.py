"""What makes good pairs: passages, the facts in them, questions that ask for the facts, and checked answers.

Knows no HTTP, SQL or Celery; what generates text is behind the `Writer` protocol in `writer.py`.
"""
