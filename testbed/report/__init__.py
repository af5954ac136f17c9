"""From a run folder to a page that can be read."""
