"""For those who write the workbook: what holds every block to its form."""
