"""Disaster recovery you can prove, for applications on PostgreSQL."""

__version__ = "0.1.0"
