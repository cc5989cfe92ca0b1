"""Subtitles: a transcript's text cut into cues and lines, with times that a viewer can read.

The formats srt and vtt write the cues; no file format is known here.
"""
