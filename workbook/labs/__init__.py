"""What lessons and tests use to show something real: private servers that need no setting up and leave nothing."""
