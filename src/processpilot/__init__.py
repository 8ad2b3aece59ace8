"""Disaster recovery you can prove, for applications on PostgreSQL."""
