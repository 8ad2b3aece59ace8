"""Object stores: where a repository keeps its bytes. Drivers know nothing of what they keep."""
