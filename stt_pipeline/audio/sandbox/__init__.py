"""Decoding of untrusted media: a fork server, and its children without files, network and credentials, one a recording.

``client`` and ``task`` are the side of this process. All other modules run in the child only, and no other room imports PyAV for media.
"""
