"""Mails to people: templates and the ways to hand a mail over. Knows no database: who was told is the store's."""
