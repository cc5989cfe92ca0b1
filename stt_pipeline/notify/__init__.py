"""Events, recipients, and the interface of a notifier. The notifiers are in their own packages, such as `mail`.

Nothing here reads a database; the delivery log is in `store`.
"""
