"""Drivers for what runs a component: supervisord, systemd, or a pair of commands.

Recovery must stop a component before touching its files, keep it stopped while they are
incomplete, and start it when they are proven. `driver` states what every driver promises; each
other module keeps that promise for one supervisor. Which driver a component uses is decided
elsewhere.
"""
