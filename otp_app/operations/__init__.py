"""The commands of `python -m otp_app` that examine and repair an installation.

`rotate` and `events retry` write to the database. All other commands only read.
"""
