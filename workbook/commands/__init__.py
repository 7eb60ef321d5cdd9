"""The commands of `workbook`, those about one thing in one module, which adds them to the parser."""
