"""Mail as a notifier: templates, SMTP, and the outbox. Nothing here opens a database."""
