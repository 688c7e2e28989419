"""Reports: an evaluation as a page for a browser and for print, and as Markdown."""
