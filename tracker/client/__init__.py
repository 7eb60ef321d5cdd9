"""What runs beside the training: a spool on the local disk, and a thread that sends it. Standard library only."""
