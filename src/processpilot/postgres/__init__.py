"""PostgreSQL itself: its values, formats and programs; nothing of backups or plans."""
