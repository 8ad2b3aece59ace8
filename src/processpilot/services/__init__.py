"""Drivers for what runs a component, which release of it is in place, and what is switched on.

Recovery must stop a component before touching its files, keep it stopped while they are
incomplete, and start it when they are proven. `driver` states what every driver promises; the
modules beside it keep that promise for one supervisor each: supervisord, systemd, pm2, or a pair of
commands. `release` states the same for going to another release and back, `switch` for maintenance
mode and feature toggles. What a component uses is decided elsewhere.
"""
