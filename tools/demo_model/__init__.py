"""The pipeline that makes the demo model: a tiny Whisper, trained from scratch on synthetic meetings.

Run it with ``python -m tools.demo_model``; README.md has the recipe. The product imports nothing from here.
"""
